package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// dsnVariable names the store where a command line, which everybody on the machine can read, should not hold a password.
const dsnVariable = "MINIMIZE_CONSENT_DSN"

func addStoreFlags(c *cobra.Command) {
	c.PersistentFlags().String("store", "", "The store: sqlite:PATH or postgres://… (or the environment's "+dsnVariable+")")
	c.PersistentFlags().String("config", "", "The gateway's configuration, a Caddyfile or JSON, that names the store; ./Caddyfile")
}

// misnamed says that the command line names no store that there is.
type misnamed struct{ error }

// openStore opens the store that the flags name, or the gateway's own. A name with a mistake in it would be a new, empty
// file, in which nobody agreed to anything: only an import makes one, and says so.
func openStore(ctx context.Context, c *cobra.Command, imports bool) (consentstore.Store, error) {
	kind, dsn, err := whichStore(c)
	if err != nil {
		return nil, misnamed{err}
	}
	fresh := kind == consentstore.SQLite && isMissing(dsn)
	if fresh && !imports {
		return nil, misnamed{fmt.Errorf("opening the consent store: there is no such file: %s", dsn)}
	}
	s, err := consentstore.Open(kind, dsn)
	if err != nil {
		return nil, err
	}
	if err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if fresh {
		fmt.Fprintln(c.ErrOrStderr(), "There was no such file, so this is a new store:", dsn)
	}
	return s, nil
}

func isMissing(file string) bool {
	_, err := os.Stat(file)
	return errors.Is(err, fs.ErrNotExist)
}

func whichStore(c *cobra.Command) (kind, dsn string, err error) {
	store, config := c.Flag("store").Value.String(), c.Flag("config").Value.String()
	switch {
	case store != "" && config != "":
		return "", "", errors.New("naming the store: give either --store or --config")
	case store != "":
		return splitStore(store)
	case config != "":
		return configStore(config)
	case os.Getenv(dsnVariable) != "":
		return splitStore(os.Getenv(dsnVariable))
	}
	if _, err := os.Stat("Caddyfile"); err != nil {
		return "", "", fmt.Errorf("naming the store: there is no ./Caddyfile here; use --config FILE, --store sqlite:PATH, or set %s", dsnVariable)
	}
	return configStore("Caddyfile")
}

// splitStore reads sqlite:PATH, postgres:DSN, and a URL of PostgreSQL's as it is.
func splitStore(store string) (kind, dsn string, err error) {
	kind, dsn, _ = strings.Cut(store, ":")
	switch {
	case strings.Contains(kind, "="): // host=… dbname=…, as in the Caddyfile; a value in it may hold a colon
		return consentstore.Postgres, store, nil
	case dsn == "":
	case kind == consentstore.SQLite:
		return kind, dsn, nil
	case strings.HasPrefix(store, "postgres://"), strings.HasPrefix(store, "postgresql://"):
		return consentstore.Postgres, store, nil
	case kind == consentstore.Postgres:
		return kind, dsn, nil
	}
	return "", "", errors.New("naming the store: it is sqlite:PATH or postgres://user@host/database") // never what was given: it may hold a password
}

// configStore takes the store out of a gateway's configuration.
func configStore(file string) (kind, dsn string, err error) {
	config, err := readConfig(file)
	if err != nil {
		return "", "", err
	}
	consent := gjson.GetBytes(config, "apps.minimize.consent")
	kind = consent.Get("store").Str
	if kind == "" {
		return "", "", errors.New("reading the configuration: its global option `minimize` has no `consent`, so there is no store; name one with --store")
	}
	if dsn, err = caddy.NewReplacer().ReplaceOrErr(consent.Get("dsn").Str, true, true); err != nil {
		return "", "", errors.New("reading the configuration: a placeholder of `consent` is empty; set it in the environment as for the gateway")
	}
	return kind, dsn, nil
}
