package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

var (
	fenced  = regexp.MustCompile("(?ms)^[ \t]*(```+|~~~+).*?^[ \t]*(```+|~~~+)[ \t]*$")
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.*?)[ #]*$`)
	anchor  = regexp.MustCompile(`<a (?:name|id)="([^"]+)">`)
	inline  = regexp.MustCompile("`[^`\n]*`")
	linked  = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	markup  = regexp.MustCompile("`|\\*\\*|\\]\\([^)]*\\)|\\[|<[^>]*>")
	named   = regexp.MustCompile(`\bdocs/[a-z-]+\.md(?:#[a-z0-9_-]+)?`) // in comments and messages
)

// markdown returns the documents by their path from the root, with fenced blocks removed.
func markdown(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "node_modules" || entry.Name() == ".git"):
			return fs.SkipDir
		case path.Ext(name) != ".md":
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		files[name] = fenced.ReplaceAllString(string(text), "")
		return err
	}))
	return files
}

// anchors returns the names to which a link into a document can lead, as GitHub makes them: a heading
// in lower case, without punctuation, with hyphens for spaces, numbered if it is repeated.
func anchors(text string) (all []string) {
	seen := map[string]int{}
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		var slug strings.Builder
		for _, r := range strings.ToLower(markup.ReplaceAllString(match[1], "")) {
			switch {
			case r == ' ':
				slug.WriteRune('-')
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				slug.WriteRune(r)
			}
		}
		name := slug.String()
		if n := seen[name]; n > 0 {
			name = fmt.Sprintf("%s-%d", name, n)
		}
		seen[slug.String()]++
		all = append(all, name)
	}
	for _, match := range anchor.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// brokenLink returns why a link of a document, or of a comment in a file, leads nowhere, or "".
func brokenLink(documents map[string]string, from, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	target, fragment, _ := strings.Cut(link, "#")
	file := from
	if target != "" {
		file = path.Join(path.Dir(from), target)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); err != nil {
		return fmt.Sprintf("%s: %s: there is no %s", from, link, file)
	}
	if fragment == "" || path.Ext(file) != ".md" || slices.Contains(anchors(documents[file]), fragment) {
		return ""
	}
	return fmt.Sprintf("%s: %s: %s has no such heading", from, link, file)
}

// Each link in a document leads to a file that exists, and to a heading of it. So does each mention of
// a document in a comment or a message of the code.
func TestLinksLeadSomewhere(t *testing.T) {
	documents := markdown(t)
	var broken []string
	links := 0
	check := func(from, link string) {
		links++
		if why := brokenLink(documents, from, link); why != "" {
			broken = append(broken, why)
		}
	}
	for name, text := range documents {
		for _, match := range linked.FindAllStringSubmatch(inline.ReplaceAllString(text, ""), -1) {
			check(name, match[1])
		}
	}
	for _, name := range goFiles(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		for _, mention := range named.FindAllString(string(text), -1) {
			if !strings.HasPrefix(filepath.ToSlash(name), "test/docs/") {
				check("README.md", mention) // from the root
			}
		}
	}
	require.Greater(t, links, 300)
	require.Empty(t, broken)
}

func TestBrokenLinksAreFound(t *testing.T) {
	documents := map[string]string{"README.md": "# A `b.C`, d: e_f!\n## Twice\n## Twice\n<a name=\"here\"></a>\n"}
	require.Equal(t, []string{"a-bc-d-e_f", "twice", "twice-1", "here"}, anchors(documents["README.md"]))
	for link, ok := range map[string]bool{
		"#twice-1": true, "README.md#here": true, "https://example.com/x#y": true, "docs": true,
		"#twice-2": false, "nothing.md": false, "README.md#nothing": false,
	} {
		require.Equal(t, ok, brokenLink(documents, "README.md", link) == "", link)
	}
}

// README.md and docs/README.md lead to each page of docs, so that a reader finds all of them.
func TestIndexHasEachPage(t *testing.T) {
	documents := markdown(t)
	for name := range documents {
		if path.Dir(name) == "docs" && name != "docs/README.md" {
			require.Contains(t, documents["docs/README.md"], "]("+path.Base(name), "docs/README.md")
		}
	}
}
