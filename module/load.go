package minimize

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

// files is what stands on disk at one moment. The hash tells two moments apart, also where reading failed.
type files struct {
	rules []rulefile.File
	keys  map[string][]byte // nil: no key directory is configured
	hash  string
}

// readFiles reads the rule documents that the patterns name, and the keys. It always returns files with a hash.
func readFiles(patterns []string, keyDir string) (*files, error) {
	f := new(files)
	sum := sha256.New()
	err := f.read(patterns, keyDir, sum)
	if err != nil {
		fmt.Fprintf(sum, "error %q", err)
	}
	f.hash = hex.EncodeToString(sum.Sum(nil))
	return f, err
}

func (f *files) read(patterns []string, keyDir string, sum io.Writer) error {
	names, err := rulefile.Expand(patterns)
	if err != nil {
		return err
	}
	if f.rules, err = rulefile.ReadAll(names); err != nil {
		return err
	}
	for _, file := range f.rules {
		fmt.Fprintf(sum, "rules %q %d ", file.Name, len(file.Data))
		sum.Write(file.Data)
		// What does not load is told by load, where all errors come at once.
		if extended, err := rulefile.Extended(file.Name, file.Data); err == nil {
			sum.Write(extended.Data)
		}
	}
	if keyDir == "" {
		return nil
	}
	if f.keys, err = rulefile.Keys(keyDir); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(f.keys)) {
		fmt.Fprintf(sum, "key %q %d ", filepath.Join(keyDir, id), len(f.keys[id]))
		sum.Write(f.keys[id])
	}
	return nil
}

// loaded is the documents and keys of one moment, each good in itself.
type loaded struct {
	files     []rulefile.File
	documents []*rules.Document
	keys      *rules.KeyRing
}

// changed is when the newest of the files was written, as seconds; 0 where all of them are packs.
func (l *loaded) changed() (newest int64) {
	for _, file := range l.files {
		if info, err := os.Stat(file.Name); err == nil {
			newest = max(newest, info.ModTime().Unix())
		}
	}
	return newest
}

// load parses the documents and reports what is wrong in all of them at once.
func load(f *files) (l *loaded, err error) {
	l = &loaded{files: f.rules}
	if l.documents, err = rulefile.Load(f.rules); err != nil {
		return nil, err
	}
	if f.keys != nil {
		if l.keys, err = rules.NewKeyRing(f.keys); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// strangers are who has keys of its own and is in no register. Documents may be chosen by route, so all of them count.
func (l *loaded) strangers() []string {
	if l.keys == nil {
		return nil
	}
	return slices.DeleteFunc(l.keys.Recipients(), func(name string) bool {
		return slices.ContainsFunc(l.documents, func(d *rules.Document) bool {
			return slices.ContainsFunc(d.Recipients, func(r rules.Recipient) bool { return r.Name == name })
		})
	})
}

// compile puts the route's documents together and checks that they suffice for it.
func (l *loaded) compile(u *route) (*ruleset, error) {
	docs, err := l.choose(u.chosen())
	if err != nil {
		return nil, err
	}
	isCandidate := func(d *rules.Document) bool { return d.Candidate }
	enforced := slices.DeleteFunc(slices.Clone(docs), isCandidate)
	if !slices.ContainsFunc(enforced, func(d *rules.Document) bool { return len(d.Allow)+len(d.Fields)+len(d.Limit)+len(d.Routes) > 0 }) {
		return nil, errors.New("the rule documents hold no rule: write at least one `allow` or one entry of `fields` " +
			"in a document that is no candidate")
	}
	set := &ruleset{keys: l.keys}
	if set.enforced, err = rules.Compile(enforced, rules.Options{Keys: l.keys}); err != nil {
		return nil, err
	}
	set.places = make(map[string]bool)
	for _, place := range set.enforced.Places() {
		set.places[place] = true
	}
	if len(enforced) < len(docs) {
		if set.candidate, err = rules.Compile(docs, rules.Options{Keys: l.keys}); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func (l *loaded) choose(names []string) ([]*rules.Document, error) {
	if len(names) == 0 {
		return l.documents, nil
	}
	var docs []*rules.Document
	for _, name := range names {
		i := slices.IndexFunc(l.documents, func(d *rules.Document) bool { return d.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no rule document is named %q (a document is named by its file, without the extension)", name)
		}
		docs = append(docs, l.documents[i])
	}
	return docs, nil
}
