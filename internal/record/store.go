package record

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"modernc.org/sqlite" // the driver "sqlite"

	"github.com/backend-showdown/showdown/internal/showdown"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open record. It is safe for concurrent use.
type Store struct{ db *sql.DB }

// Open opens the record in a file and brings its tables up to date; it makes
// file and folder when there are none.
func Open(ctx context.Context, file string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, showdown.Errorf(showdown.Environment, "choose another folder with --out", "open record: %w", err)
	}
	options := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+options.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	s := &Store{db: db}
	err = s.migrate(ctx)
	// SQLite does not wait for the other one that turns a new file to WAL.
	for end := time.Now().Add(10 * time.Second); busy(err) && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		err = s.migrate(ctx)
	}
	if err != nil {
		_ = db.Close()
		return nil, showdown.Errorf(showdown.Environment, "is it a record of Showdown, and may you write to it? another folder: --out", "open record %s: %w", file, err)
	}
	return s, nil
}

// Close closes the record.
func (s *Store) Close() error { return s.db.Close() }

// migrate applies the migrations that the file has not seen; SQLite's
// user_version counts them.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(files)
	return s.transaction(ctx, func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		if version > len(files) {
			return fmt.Errorf("it was written by a newer Showdown (version %d, this one knows %d)", version, len(files))
		}
		for _, file := range files[version:] {
			text, err := migrations.ReadFile(file)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(files)))
		return err
	})
}

func (s *Store) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Create stores a new run. Its bouts are added one by one.
func (s *Store) Create(ctx context.Context, run showdown.Run) error {
	document, err := headOf(run)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "INSERT INTO runs (id, started, status, document) VALUES (?, ?, ?, ?)",
		run.ID, run.Started.UTC().Format("2006-01-02T15:04:05.000000000Z07:00"), run.Status, document)
	return wrap(err, "store run %s", run.ID)
}

// Update stores a run's status and everything else but its bouts.
func (s *Store) Update(ctx context.Context, run showdown.Run) error {
	document, err := headOf(run)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "UPDATE runs SET status = ?, document = ? WHERE id = ?", run.Status, document, run.ID)
	return wrap(err, "update run %s", run.ID)
}

func headOf(run showdown.Run) (string, error) {
	run.Bouts = nil
	b, err := json.Marshal(run)
	return string(b), err
}

// Add commits a finished bout of a run.
func (s *Store) Add(ctx context.Context, run string, b showdown.Bout) error {
	document, err := json.Marshal(b)
	if err != nil {
		return err
	}
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		added, err := tx.ExecContext(ctx, "INSERT INTO bouts (run, contender, phase, block, document) VALUES (?, ?, ?, ?, ?)",
			run, b.Contender, b.Phase, b.Block, string(document))
		if err != nil {
			return err
		}
		id, err := added.LastInsertId()
		if err != nil {
			return err
		}
		for i := range b.Windows {
			if len(b.Windows[i].Histo) == 0 {
				continue
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO histograms (bout, position, encoded) VALUES (?, ?, ?)", id, i, b.Windows[i].Histo); err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err, "store bout of %s", b.Contender)
}

// Run reads a run with all its bouts and histograms.
func (s *Store) Run(ctx context.Context, id string) (showdown.Run, error) {
	var run showdown.Run
	var document string
	err := s.db.QueryRowContext(ctx, "SELECT document FROM runs WHERE id = ?", id).Scan(&document)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return run, showdown.Usage("all: showdown runs", "no run %q in the record", id)
	case err != nil:
		return run, wrap(err, "read run %s", id)
	}
	if err := json.Unmarshal([]byte(document), &run); err != nil {
		return run, wrap(err, "read run %s", id)
	}
	run.Bouts, err = s.bouts(ctx, id)
	return run, wrap(err, "read bouts of run %s", id)
}

func (s *Store) bouts(ctx context.Context, run string) ([]showdown.Bout, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, document FROM bouts WHERE run = ? ORDER BY id", run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var bouts []showdown.Bout
	var ids []int64
	for rows.Next() {
		var id int64
		var document string
		var b showdown.Bout
		if err := rows.Scan(&id, &document); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(document), &b); err != nil {
			return nil, err
		}
		bouts, ids = append(bouts, b), append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i, id := range ids {
		if err := s.histograms(ctx, id, bouts[i].Windows); err != nil {
			return nil, err
		}
	}
	return bouts, nil
}

func (s *Store) histograms(ctx context.Context, bout int64, into []showdown.Window) error {
	rows, err := s.db.QueryContext(ctx, "SELECT position, encoded FROM histograms WHERE bout = ?", bout)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var position int
		var encoded []byte
		if err := rows.Scan(&position, &encoded); err != nil {
			return err
		}
		if position < 0 || position >= len(into) {
			return fmt.Errorf("histogram %d of a bout with %d windows", position, len(into))
		}
		into[position].Histo = encoded
	}
	return rows.Err()
}

// Summary is a line of the list of runs.
type Summary struct {
	Run   showdown.Run // without bouts
	Bouts int
}

// Runs lists all runs, newest first.
func (s *Store) Runs(ctx context.Context) ([]Summary, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT document, (SELECT count(*) FROM bouts WHERE run = runs.id)
		FROM runs ORDER BY started DESC, id DESC`)
	if err != nil {
		return nil, wrap(err, "list runs")
	}
	defer rows.Close()
	var list []Summary
	for rows.Next() {
		var document string
		var sum Summary
		if err := rows.Scan(&document, &sum.Bouts); err != nil {
			return nil, wrap(err, "list runs")
		}
		if err := json.Unmarshal([]byte(document), &sum.Run); err != nil {
			return nil, wrap(err, "list runs")
		}
		list = append(list, sum)
	}
	return list, wrap(rows.Err(), "list runs")
}

// Latest finds the newest run that keep accepts.
func (s *Store) Latest(ctx context.Context, keep func(showdown.Run) bool) (id string, ok bool, err error) {
	runs, err := s.Runs(ctx)
	if err != nil {
		return "", false, err
	}
	for _, r := range runs {
		if keep(r.Run) {
			return r.Run.ID, true, nil
		}
	}
	return "", false, nil
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// busy reports whether err is SQLite's word that somebody else holds the file.
func busy(err error) bool {
	const sqliteBusy = 5
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqliteBusy // the low byte is the primary result code
}
