package redisstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// rights is the ACL rule of docs/redis.md.
const rights = "~sb:* &sb:* -@all +@connection +info +cluster|slots +cluster|shards +hsetnx +hmget +get +mget +set +getrange +setrange +del +unlink +exists +time " +
	"+persist +pttl +pexpire +pexpireat +pexpiretime +zadd +zcard +zcount +zrange +zrangebyscore +zrangestore +zrevrangebyscore +zrem +zremrangebyscore " +
	"+zscore +eval +evalsha +sadd +srem +spop +xadd +xdel +xlen +xrange +xrevrange +xtrim +spublish +ssubscribe +sunsubscribe"

// without returns the words of the rule except one.
func without(rule, word string) []string {
	return slices.DeleteFunc(strings.Fields(rule), func(each string) bool { return each == word })
}

// TestS22_UserWithFewRights: the store works for an ACL user that has no other rights and no access
// to other keys.
func TestS22_UserWithFewRights(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">password"}, strings.Fields(rights)...)...)
	url := strings.Replace(s.URL(), "//", "//sessions:password@", 1)
	st := open(t, url, &redisstore.Options{Shards: 2})
	for _, rec := range fill(t, st, 400)[:300] { // enough for pages to be split and merged
		require.NoError(t, st.Touch(t.Context(), rec.ID, time.Now().Add(time.Hour)))
		_, err := st.Destroy(t.Context(), rec.ID)
		require.NoError(t, err)
	}
	require.Len(t, collect(t, st.List(t.Context())), 100)
	require.Len(t, collect(t, st.ByUser(t.Context(), "user-199@example.org")), 2)
	never := create(t, st)
	never.Expires = time.Time{}
	_, err := st.Set(t.Context(), never)
	require.NoError(t, err)
	swept, err := st.Sweep(t.Context(), time.Now().Add(100*day), 1000)
	require.NoError(t, err)
	require.Len(t, swept, 100)
	require.NoError(t, st.Optimize(t.Context()))
	require.NoError(t, st.Ping(t.Context()))
	guest := create(t, st, func(rec *store.Record) { rec.UserID = "" })
	surplus, err := st.SurplusByClient(t.Context(), guest.ClientID, 0, 1)
	require.NoError(t, err)
	require.Equal(t, []string{guest.ID}, surplus)
	to, limits := store.KeptFor{SessionID: guest.ID}, store.KeepLimits{For: time.Minute, Messages: 1, Bytes: 100}
	for range 2 {
		require.NoError(t, st.Keep(t.Context(), to, store.KeptMessage{Data: []byte("hi")}, limits))
	}
	kept, err := st.Kept(t.Context(), to, 0)
	require.NoError(t, err)
	require.Len(t, kept.Messages, 1)
	require.Len(t, endAll(t, st), 2)
	sees(t, open(t, url, &redisstore.Options{CacheBytes: 1 << 20}), create(t, st))

	_, err = redisstore.Open(t.Context(), url, &redisstore.Options{Namespace: "others"})
	require.ErrorContains(t, err, "ACL doesn't allow it")
}

// TestS22_DocumentedRule: docs/redis.md has the rule that the tests use.
func TestS22_DocumentedRule(t *testing.T) {
	text, err := os.ReadFile("../docs/redis.md")
	require.NoError(t, err)
	_, rule, ok := strings.Cut(string(text), "ACL SETUSER sessions on >password ")
	require.True(t, ok)
	rule, _, _ = strings.Cut(rule, "```")
	require.ElementsMatch(t, strings.Fields(rights), strings.Fields(rule))
}

// TestS22_TLS: the connection is encrypted, and the server's certificate is verified.
func TestS22_TLS(t *testing.T) {
	t.Parallel()
	cert, key, roots := certificate(t)
	_, port, err := net.SplitHostPort(freeAddr(t))
	require.NoError(t, err)
	redistest.Start(t, "tls-port "+port, "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+cert, "tls-auth-clients no")
	addr := "127.0.0.1:" + port

	_, err = redisstore.Open(t.Context(), "rediss://"+addr, nil)
	require.ErrorContains(t, err, "certificate", "the certificate is self-signed")
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, TLSConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}})
	require.NoError(t, err)
	defer client.Close()
	st, err := redisstore.New(t.Context(), client, nil)
	require.NoError(t, err)
	rec := create(t, st)
	_, err = st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// certificate creates a self-signed certificate for the loopback address.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test " + strconv.Itoa(os.Getpid())},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	roots = x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certPEM))
	return certFile, keyFile, roots
}
