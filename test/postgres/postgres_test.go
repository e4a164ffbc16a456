package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestKill shows that what was committed survives a kill, and that the server comes back where it was.
func TestKill(t *testing.T) {
	c := Start(t)
	ctx := context.Background()
	dsn := c.NewDatabase(t)
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.Kill()
		if err := conn.Ping(ctx); err == nil {
			t.Fatal("a connection outlived the kill")
		}
		if other, err := pgx.Connect(ctx, dsn); err == nil {
			other.Close(ctx)
			t.Fatal("somebody answers after the kill")
		}
		c.Restart()
		again, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := again.QueryRow(ctx, "SELECT n FROM kept").Scan(&n); err != nil || n != 7 {
			t.Errorf("got %d, %v, want 7", n, err)
		}
		again.Close(ctx)
	}
}
