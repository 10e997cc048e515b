// Bench compares this library with others, and with doing without it, in one table:
//
//	go run .                       # the whole table, some minutes
//	go run . -run 'middleware'     # the rows whose name matches
//	go run . -quick                # a look at whether everything works; its figures mean little
//
// Each row has what ours takes, what the peer takes, their ratio, the target that the row is to
// reach, and whether it does. Times are per operation, with the heap memory and the allocations of
// one operation beside them; the ratio says how many times better ours is: faster where the row is
// a time, more where it is a rate, smaller where it is a size. A row without a target is there to
// be looked at; a row without a peer is compared with its target only.
//
// # What counts
//
// Only ratios within one run count. The figures themselves are those of one machine at one moment,
// and no two runs can be compared. So that the ratios can be trusted, the two sides of a row take
// turns, -rounds times, in short pieces with a garbage collection before each; what the table shows
// are the medians of the rounds, the ratio being the median of the rounds' ratios rather than the
// ratio of the medians.
//
// Every row checks its own work after the last round: a row that stores something loads it again
// and finds as many changes as there were operations. A row that fails its check ends the program,
// with a status other than 0. A missed target doesn't, as a busy machine can miss any: it is marked
// NO.
//
// # What is compared
//
// The middleware rows call a handler's ServeHTTP with a recorder in memory; the request carries
// both cookies, or the peer's. There is no network in them, which would hide most of what they are
// about. WithSession runs on a connection of a real handshake over loopback, but sends nothing. The
// round trips go over loopback, client and server in one process. The clients of the idle
// connections are a process of their own, so that only the server's memory is counted. The peers
// run with their defaults; the gorilla stores' cookies are signed with the same length of key as
// ours.
//
// # Files
//
// The rows that begin with file/ measure a disk: the one that has the folder for temporary files.
// TMPDIR chooses another; in a folder that is in memory (tmpfs) syncing costs nothing, and they say
// nothing. They need 6 GB there. What such a row has stored, it reads back, also after the store
// was closed and opened again.
//
// The sets are of random ones among 100,000 sessions, and return when they are synced; each
// goroutine keeps to sessions of its own, so that there are no conflicts. Whoever isn't being
// measured is closed, so that it doesn't work off what it has put off (a checkpoint, a compaction)
// meanwhile. Ours is told to make a checkpoint every second, so that those fall into a measurement.
//
//   - raw log is what the disk can do: group commit into two preallocated files, without anything
//     to find a session by.
//   - bbolt and Pebble keep the same records, check their revisions and keep the same indexes as
//     ours does. bbolt stores them in a transaction each, in Batch, or by a committer, a goroutine
//     that puts all that waits into one transaction.
//   - FilesystemStore doesn't sync.
//
// The million sessions are filled in once for all of their rows. The crash is one: a child process
// stores what the log holds, and is killed; what it has called durable must be there then.
//
// # Sealed stores
//
// The rows that begin with sealed/ compare each store below store/sealed with the same store alone:
// a get or a set of a session with 300 bytes of values, among 128, as many as are in use at a time.
// The file is synced once a minute, and of Redis there are 64 calls at once, because a sync or a
// round trip alone takes far longer than the encryption, and not always equally long.
//
// # Redis
//
// The rows that begin with redis/ start a redis-server of their own, which keeps nothing on disk,
// and use it in turn with redis-sessions 4.0.0, a package for node. npm installs that once, into
// the user's cache folder. Where redis-server, node or npm is missing, or npm can't install, the
// rows say so. The peer runs in one process of node, as its users run it, and takes its time
// itself; it does everything once before that counts. All of it is 64 calls at once, unless the row
// says otherwise, on 10,000 sessions with 300 bytes of data, five to a user.
//
//   - set: the peer reads the session and merges into it; ours was read before, as it is at the end
//     of a request, and checks that it hasn't changed since.
//   - get: the peer also writes that it was read, ours has Touch for that.
//   - cached get: of sessions that are known, and that nobody changes. The peer hands out the same
//     object each time, ours a copy.
//   - active lately: the sessions themselves, soapp and ActiveSince. Users active lately: the peer
//     has a set of users by the time of their last use, and asks for its size; ours looks at each
//     session, and so doesn't count those that have ended.
//   - destroy all: killall, which is one transaction; ours finds the sessions and destroys each as
//     a logout does, 64 at once.
//   - sweep: the peer's sessions are made due, and its wipe is called; ours is swept in the
//     gateway's pieces, and returns what it removes.
//   - round trips are counted by Redis: of commands that scripts call it is the script that counts.
//
// # PostgreSQL
//
// The rows that begin with postgres/ start a PostgreSQL of their own, with its default
// configuration, which all sides use in turn, each through a pool of four connections. scs pgxstore
// is the store of scs; bare are statements of pgx on a table with an ID, a revision, a time and the
// same data.
//
//   - set with news: of sessions that another node holds, which is notified of each.
//   - sweep under load: 16 goroutines begin an operation every 10 ms each, a set after nine gets.
//     Its time counts from the moment that it was to begin.
//   - news of a change: from the answer to a change of a session's token until another node is
//     notified.
//   - slow disk: a library, which cc compiles, makes each fdatasync of the server 0.9 ms longer, as
//     on a disk that is reached over a network. Without cc, or elsewhere than on Linux, the rows say
//     so.
//   - long growth: two million updates. It takes minutes, and is measured only if -run is given.
//
// # REST
//
// The row that begins with rest/ sends requests to the REST API over redisstore, and to rest-sessions
// 2.0.1 in a process of node, on one redis-server: a session is opened with its token, 64 at once, over
// connections that stay open. Ours is in the process that sends. npm has no rest-sessions: its one
// source file is here, and npm installs the modules that it needs.
//
// The same functions run as Go benchmarks, for profiles: go test -run '^$' -bench
// 'Middleware/read/ours' -cpuprofile cpu.prof.
package main
