package docs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
)

var anyBlock = regexp.MustCompile("(?ms)^```([a-z]+)([^\n]*)\n(.*?)^```$")

// blocks calls check with each block in one of the languages, in all documents but the changelog.
func blocks(t *testing.T, check func(t *testing.T, code string), languages ...string) {
	t.Helper()
	found := 0
	for name := range markdown(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		for _, match := range anyBlock.FindAllStringSubmatch(string(text), -1) {
			for _, language := range languages {
				if match[1] == language {
					found++
					line, _, _ := strings.Cut(match[3], "\n")
					t.Run(name+": "+line, func(t *testing.T) { check(t, match[3]) })
				}
			}
		}
	}
	require.NotZero(t, found)
}

// runs runs a program on a block and requires that it accepts it.
func runs(t *testing.T, code, file string, command ...string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(code), 0o600))
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, code)
}

func TestShellBlocksParse(t *testing.T) {
	bash := programs.Find(t, "bash")
	blocks(t, func(t *testing.T, code string) { runs(t, code, "block.sh", bash, "-n", "block.sh") }, "sh", "bash")
}

// Scripts parse as modules, so that await is allowed at the top.
func TestScriptBlocksParse(t *testing.T) {
	node := programs.Find(t, "node")
	blocks(t, func(t *testing.T, code string) { runs(t, code, "block.mjs", node, "--check", "block.mjs") }, "js")
}

func TestDataBlocksParse(t *testing.T) {
	blocks(t, func(t *testing.T, code string) { require.True(t, json.Valid([]byte(code)), code) }, "json")
	blocks(t, func(t *testing.T, code string) {
		for decoder := yaml.NewDecoder(strings.NewReader(code)); ; {
			var v any
			err := decoder.Decode(&v)
			if errors.Is(err, io.EOF) {
				return
			}
			require.NoError(t, err, code)
		}
	}, "yaml")
}

// nginx accepts the configurations, complete ones and those of a server.
func TestNginxBlocksAreAccepted(t *testing.T) {
	nginx := programs.Find(t, "nginx")
	cert, key := certificate(t)
	blocks(t, func(t *testing.T, code string) {
		dir := t.TempDir()
		if !strings.Contains(code, "http {") {
			if strings.HasPrefix(strings.TrimSpace(code), "location") {
				code = "server {\n" + code + "}\n"
			}
			code = "events {}\nhttp {\n" + code + "}\n"
		}
		if !strings.Contains(code, "pid ") {
			code = "pid nginx.pid;\n" + code
		}
		require.NoError(t, os.Mkdir(filepath.Join(dir, "tmp"), 0o700))
		for name, text := range map[string][]byte{"nginx.conf": []byte(code), "cert.pem": cert, "key.pem": key} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
		}
		out, err := exec.CommandContext(t.Context(), nginx, "-t", "-p", dir, "-c", "nginx.conf", "-e", "stderr").CombinedOutput()
		require.NoError(t, err, "%s\n%s", out, code)
	}, "nginx")
}

// certificate returns a self-signed certificate and its key.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
