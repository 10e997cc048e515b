package sealed

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"
)

// MinPassphraseBytes is the minimum length of a passphrase.
const MinPassphraseBytes = 16

// The parameters of Argon2id for a new salt file are the second recommended option of RFC 9106,
// section 4: 3 passes over 64 MiB in 4 lanes, and a salt of 128 bits.
const (
	argonPasses = 3
	argonKiB    = 64 << 10
	argonLanes  = 4
	saltBytes   = 16

	// More than these is taken for a damaged file rather than for an operator's choice. The first
	// recommended option of RFC 9106 is one pass over 2 GiB in 4 lanes.
	maxPasses = 64
	maxKiB    = 4 << 20
	maxLanes  = 64
)

// saltForm is the line in a salt file: memory in KiB, passes, lanes, and the salt in base64.
const saltForm = "sessionbridge argon2id v=19 m=%d t=%d p=%d %s"

// PassphraseKey returns the key that Argon2id (RFC 9106) makes of a passphrase and the salt in a
// file: 3 passes over 64 MiB of memory in 4 lanes, which take about a tenth of a second.
//
// If there is no such file it creates one with a random salt, readable by its owner only (0600). The
// file also has the parameters. It isn't secret, but without it, or with another one, the passphrase
// gives another key: keep a copy with the backups, and give the same file to all processes that use
// the store. A symbolic link, a file that others can write, and a file whose parameters are weaker
// than those are errors. A passphrase has at least MinPassphraseBytes bytes. Prefer random keys: a
// passphrase is as good as it is hard to guess.
func PassphraseKey(passphrase []byte, saltFile string) ([]byte, error) {
	if len(passphrase) < MinPassphraseBytes {
		return nil, fmt.Errorf("sealed: a passphrase of %d bytes is too short, at least %d are needed",
			len(passphrase), MinPassphraseBytes)
	}
	salt, err := readSalt(saltFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createSalt(saltFile); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("sealed: create salt file: %w", err)
		}
		salt, err = readSalt(saltFile)
	}
	if err != nil {
		return nil, fmt.Errorf("sealed: salt file %s: %w", saltFile, err)
	}
	return argon2.IDKey(passphrase, salt.salt, salt.passes, salt.kib, salt.lanes, MinKeyBytes), nil
}

// argonSalt is a salt and the parameters that belong to it.
type argonSalt struct {
	salt        []byte
	passes, kib uint32
	lanes       uint8
}

func readSalt(path string) (argonSalt, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return argonSalt{}, err
	}
	if !info.Mode().IsRegular() {
		return argonSalt{}, errors.New("not a regular file")
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 && filepath.Separator == '/' {
		return argonSalt{}, fmt.Errorf("mode %#o lets others write it; chmod go-w it", mode)
	}
	f, err := os.Open(path)
	if err != nil {
		return argonSalt{}, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return argonSalt{}, err
	}
	return parseSalt(string(text))
}

func parseSalt(text string) (argonSalt, error) {
	var kib, passes, lanes uint32
	var encoded string
	line := strings.TrimSpace(text)
	if _, err := fmt.Sscanf(line, saltForm, &kib, &passes, &lanes, &encoded); err != nil {
		return argonSalt{}, errors.New("it is damaged, or not a salt file")
	}
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || line != fmt.Sprintf(saltForm, kib, passes, lanes, encoded) {
		return argonSalt{}, errors.New("it is damaged, or not a salt file")
	}
	switch {
	case len(salt) < saltBytes:
		return argonSalt{}, fmt.Errorf("a salt of %d bytes is too short, at least %d are needed", len(salt), saltBytes)
	case passes < 1, passes > maxPasses, kib > maxKiB, lanes < 1, lanes > maxLanes:
		return argonSalt{}, fmt.Errorf("m=%d t=%d p=%d are out of range", kib, passes, lanes)
	case kib < argonKiB, passes < argonPasses && kib < 2<<20: // RFC 9106 has one pass from 2 GiB
		return argonSalt{}, fmt.Errorf("m=%d t=%d are weaker than m=%d t=%d", kib, passes, argonKiB, argonPasses)
	}
	return argonSalt{salt, passes, kib, uint8(lanes)}, nil
}

// createSalt writes a complete file beside path and links it there, so that path never names a
// partial file and is never overwritten.
func createSalt(path string) error {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(rand.Reader, salt); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = fmt.Fprintf(temp, saltForm+"\n", argonKiB, argonPasses, argonLanes, base64.StdEncoding.EncodeToString(salt))
	if err == nil {
		err = temp.Sync()
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Link(temp.Name(), path)
}
