-- ARGV: prefix, entry, node, …. Tells each of these.
for i = 3, #ARGV do tell(ARGV[i], ARGV[2]) end
return 1
