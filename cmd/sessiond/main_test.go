package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// With nothing set up it serves at once, says where and with which key, and ends with 0.
func TestStartsWithNothingSetUp(t *testing.T) {
	p := serving(t)
	require.Len(t, p.key, 26)
	p.use()
	id := p.create("ada")
	listed := sessiond(t, "list")
	require.Zero(t, listed.code, listed.errors)
	var s struct{ ID, User string }
	require.NoError(t, json.Unmarshal([]byte(listed.out), &s))
	require.Equal(t, id, s.ID)
	require.Equal(t, "ada", s.User)

	status, _ := p.call(http.MethodGet, "/", "")
	require.Equal(t, http.StatusOK, status, "the dashboard")
	for path, want := range map[string]int{"/livez": 204, "/readyz": 204, "/metrics": 200, "/nothing": 404, "//": 404} {
		status, _ := p.call(http.MethodGet, path, "")
		require.Equal(t, want, status, path)
	}
	p.stop()
	require.NotContains(t, p.stderr.String(), p.key)
}

func TestSessionsInAFileSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	p := serving(t, "serve", "--store", "file:"+path)
	id := p.create("ada")
	p.stop()
	p = serving(t, "--store", "file:"+path)
	status, _ := p.call(http.MethodGet, "/v1/main/sessions/"+id, "")
	require.Equal(t, http.StatusOK, status)
	p.stop()
}

// Flags come before the environment, and that before the file.
func TestSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessiond.yaml")
	require.NoError(t, os.WriteFile(file, []byte("app: file\nlog-format: json\nidle-timeout: 1h\n"), 0o600))
	for want, args := range map[string][]string{
		"flag": {"--config", file, "--app", "flag"},
		"env":  {"--config", file},
	} {
		p := start(t, command(t, []string{"SESSIOND_API_LISTEN=127.0.0.1:0", "SESSIOND_APP=env"}, args...))
		_, answer := p.call(http.MethodGet, "/v1/apps", "")
		require.Equal(t, []any{want}, answer["apps"])
		p.stop()
	}
	p := start(t, command(t, []string{"SESSIOND_API_LISTEN=127.0.0.1:0", "SESSIOND_CONFIG=" + file}))
	_, answer := p.call(http.MethodGet, "/v1/apps", "")
	require.Equal(t, []any{"file"}, answer["apps"])
	_, answer = p.call(http.MethodPost, "/v1/file/sessions", "{}")
	require.EqualValues(t, 3600, answer["session"].(map[string]any)["idle"])
	p.stop()
	require.Contains(t, p.stderr.String(), `"msg":"stopping"`)
}

func TestKeysOfTheAPI(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(file, []byte("ops read "+strings.Repeat("A", 26)), 0o600))
	p := start(t, command(t, []string{
		"SESSIOND_API_LISTEN=127.0.0.1:0", keyVariable + "=" + strings.Repeat("B", 26),
	}, "--api-keys", file))
	require.Empty(t, p.key, "none is made, and none is printed")
	for key, want := range map[string]int{"A": http.StatusForbidden, "B": http.StatusCreated, "C": http.StatusUnauthorized} {
		p.key = strings.Repeat(key, 26)
		status, _ := p.call(http.MethodPost, "/v1/main/sessions", "{}")
		require.Equal(t, want, status)
	}
	p.stop()
}

func TestCommandLinesThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("bad.yaml", []byte("nonsense: 1"), 0o600))
	require.NoError(t, os.WriteFile("garbage", []byte("garbage"), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().String()
	for line, c := range map[string]struct {
		code int
		says string
	}{
		"nonsense":                                 {2, `there is no command "nonsense"`},
		"--nonsense":                               {2, "not defined: -nonsense"},
		"serve more":                               {2, `unexpected argument "more"`},
		"serve --store redis":                      {2, `a store is "live", "file:PATH"`},
		"serve --store redis://h":                  {2, "--cookie-keys"},
		"serve --store file:garbage":               {1, "damaged"},
		"serve --secure never":                     {2, "neither auto nor always"},
		"serve --log-level loud":                   {2, "--log-level"},
		"serve --log-format xml":                   {2, "--log-format"},
		"serve --idle-timeout soon":                {2, "idle-timeout"},
		"serve --config bad.yaml":                  {2, `there is no setting "nonsense"`},
		"serve --config none.yaml":                 {2, "none.yaml"},
		"serve --api-keys none":                    {2, "keys of the API"},
		"serve --api-listen 0.0.0.0:0":             {2, "SESSIOND_KEY"},
		"serve --api-listen nowhere":               {2, "nowhere"},
		"serve --api-listen 127.0.0.1:70000":       {2, "port"},
		"serve --api-listen " + taken:              {1, "in use"},
		"serve --cookie-name a;b":                  {2, "Name"},
		"serve --mounted-cookie-keys none":         {2, "none"},
		"serve --trusted-proxy x":                  {2, "TrustedProxies"},
		"serve --app a/b":                          {2, "app"},
		"serve --grace -1s":                        {2, "--grace"},
		"proxy":                                    {2, "--backend is missing"},
		"proxy --backend ftp://h":                  {2, "Backend must be a URL"},
		"proxy --backend http://h --require user":  {2, "not none, session or login"},
		"proxy --backend http://h --pass-value X":  {2, "not HEADER=KEY"},
		"proxy --backend http://h --max-message 0": {2, "not positive"},
		"proxy --backend http://h --proxy-listen 127.0.0.1:0 --api-listen 127.0.0.1:0 --pass-value Cookie=x": {2, "begins with X-"},
		"list --output xml":         {2, "--output"},
		"list --url ftp://h":        {2, "http://"},
		"list --key-file none":      {2, "none"},
		"list more":                 {2, "unexpected argument"},
		"show":                      {2, "show needs: ID..."},
		"destroy-user":              {2, "destroy-user needs: USER"},
		"ping --url http://[::1]:1": {5, "not available"},
		"copy live file:x":          {2, "two stores"},
		"copy file:x file:x":        {2, "two stores"},
		"copy file:none file:x":     {2, "none"},
		"copy x file:x":             {2, `a store is "live"`},
		"copy file:x":               {2, "copy needs: FROM TO"},
	} {
		t.Run(line, func(t *testing.T) {
			got := sessiond(t, strings.Fields(line)...)
			require.Equal(t, c.code, got.code, got.errors)
			require.Contains(t, got.errors, c.says)
			require.Empty(t, got.out)
			require.NoFileExists(t, "none")
		})
	}
}

func TestHelpVersionAndCompletion(t *testing.T) {
	for line, says := range map[string]string{
		"--help":          "destroy-user",
		"help":            "destroy-user",
		"proxy --help":    "SESSIOND_TRUST_BACKEND",
		"--version":       "sessiond version ",
		"completion bash": "complete ",
		"completion zsh":  "#compdef",
		"completion fish": "complete ",
	} {
		got := sessiond(t, strings.Fields(line)...)
		require.Zero(t, got.code, got.errors)
		require.Contains(t, got.out, says, line)
	}
	for line, says := range map[string]string{
		"--generate-shell-completion":            "destroy-user",
		"list --act --generate-shell-completion": "--active-within",
		"--generate --generate-shell-completion": "",
	} {
		out, err := command(t, nil, strings.Fields(line)...).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), says)
	}
}

// The flags in the files of contrib exist.
func TestContribCallsTheProgramRight(t *testing.T) {
	for file, prefix := range map[string]string{
		"contrib/sessiond.service": "ExecStart=/usr/local/bin/sessiond ", "contrib/Containerfile": "CMD [\"",
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		_, line, ok := strings.Cut(string(text), "\n"+prefix)
		require.True(t, ok, file)
		line, _, _ = strings.Cut(line, "\n")
		args := append(strings.Fields(strings.NewReplacer(`"`, " ", ",", " ", "]", " ").Replace(line)), "--help")
		got := sessiond(t, args...)
		require.Zero(t, got.code, got.errors)
		require.Contains(t, got.out, "--api-listen")
	}
}
