#!/usr/bin/env bash
# Checks for what the tests need besides Go, installs what is missing if possible (as root, with
# apt-get), and reports what is still missing. That is an error with CI set; otherwise the tests
# concerned are skipped.
#
# To add a dependency, add a `need` line at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${CI:-}" in 1 | t | T | true | TRUE | True) ci=1 ;; *) ci= ;; esac
missing=()
updated=

# install PACKAGE...: succeeds if they are installed afterwards. Fetches the package lists once, if
# needed.
install() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	if [ -z "$updated" ]; then
		echo "deps: apt-get update"
		apt-get -qq update </dev/null || return 1
		updated=1
	fi
	echo "deps: apt-get install $*"
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" </dev/null >/dev/null
}

# need CHECK WHY PACKAGE...: if CHECK fails, installs the packages; if it still fails, reports them
# as missing.
need() {
	local check=$1 why=$2
	shift 2
	if $check >/dev/null 2>&1; then
		return
	fi
	install "$@" || true
	if ! $check >/dev/null 2>&1; then
		missing+=("$why: install $* (Debian's names)")
	fi
}

# uses MODULE: succeeds if a module in the tree requires it.
uses() {
	local modules
	modules=($(scripts/modules.sh)) # names of folders here have no spaces
	grep -qF "$1 " "${modules[@]/%//go.mod}"
}

# The first browser that runs: Ubuntu's chromium-browser only refers to a snap.
browser() {
	local name
	for name in chromium chromium-browser google-chrome google-chrome-stable chrome headless-shell headless_shell; do
		if "$name" --version; then return; fi
	done
	return 1
}

firefox() {
	firefox-esr --version || command firefox --version
}

# node has a WebSocket from version 20 on.
node20() {
	node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'
}

# Debian has the programs of the server in a folder for each version.
postgres14() {
	local path
	for path in /usr/lib/postgresql/*/bin/postgres "$(command -v postgres)"; do
		if [ "$("$path" --version | sed 's/.* \([0-9]*\)\..*/\1/')" -ge 14 ]; then return; fi
	done
	return 1
}

# Debian has it in a folder that only root has in PATH.
bouncer() {
	[ -x /usr/sbin/pgbouncer ] || command -v pgbouncer
}

# What localedef makes a locale of.
locales() {
	command -v localedef && [ -s /usr/share/i18n/locales/en_US ]
}

# Debian's bundle of root certificates, or that of another system.
certificates() {
	! command -v apt-get || [ -n "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ] || [ -s /etc/ssl/certs/ca-certificates.crt ]
}

if ! command -v go >/dev/null; then
	echo "deps: Go is missing: install Go 1.25 or later" >&2
	exit 1
fi

need "command -v make" "make, to build" make
need certificates "root certificates, to fetch modules" ca-certificates
need scripts/race.sh "the race detector, which needs a C compiler" gcc libc6-dev
if uses github.com/chromedp/chromedp; then
	need browser "Chromium or Chrome, for the tests in a browser" chromium
	need firefox "Firefox, likewise" firefox-esr
fi
if [ -d jsclient ]; then
	need node20 "node 20 or later, for the tests of jsclient" nodejs
	need "command -v npm" "npm, likewise" npm
fi
if [ -d pgstore ]; then
	need postgres14 "PostgreSQL 14 or later, for the tests of pgstore" postgresql
	need bouncer "PgBouncer, likewise" pgbouncer
fi
if [ -d redisstore ]; then
	need "command -v redis-server" "redis-server 7 or later, for the tests of redisstore" redis-server
	need locales "the sources of locales, likewise" locales
fi
if [ -d admin ]; then
	need "command -v nginx" "nginx, for the tests of admin" nginx
	need "command -v caddy" "Caddy, likewise" caddy
	need "command -v node" "node, likewise, and for those of other systems' suites" nodejs
fi

if [ ${#missing[@]} -gt 0 ]; then
	printf 'deps: missing: %s\n' "${missing[@]}" >&2
	[ -z "$ci" ] || exit 1
	echo "deps: continuing without them; with CI=true this is an error" >&2
else
	echo "deps: complete"
fi
