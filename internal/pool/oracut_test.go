package pool

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// hundredRows answers every query with 100 rows, and everything else with success.
type hundredRows struct{}

func (hundredRows) Serve(_ context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	if len(c.Names) > 0 {
		return &oracletest.Result{Affected: 1}, nil
	}
	res := &oracletest.Result{Columns: []oracletest.Column{{Name: "N", Type: oracletest.Number}}}
	for n := range int64(100) {
		res.Rows = append(res.Rows, []oracletest.Value{n})
	}
	return res, nil
}

// A socket that ends gives the driver io.EOF, which is also how rows end. Cut anywhere in an answer,
// a query gives all its rows or an error, and a change in a transaction an error that means that the
// database did not answer: never a fault of the statement.
func TestOracleAnswersAreNeverCutShort(t *testing.T) {
	double, err := oracletest.Start(oracletest.Config{Handler: hundredRows{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := double.Close(); err != nil {
			t.Error(err)
		}
	}()
	ps, err := OpenOracle(t.Context(), Config{
		Timeout: 5 * time.Second, Read: Bounds{Size: 1}, Write: Bounds{Size: 1},
	}, Oracle{User: "tomehub", Password: "secret", DSN: double.DSN()})
	if err != nil {
		t.Fatal(err)
	}
	defer ps.Close()
	cut := 0
	f := func(bytes int64, do func(context.Context, *Conn) error, from interface {
		Acquire(context.Context) (*Conn, error)
	}) {
		t.Helper()
		conn, err := from.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		double.DropAfter(bytes)
		err = do(t.Context(), conn)
		double.DropAfter(-1)
		if err == nil {
			return
		}
		cut++
		if !NotAnswered(err) {
			t.Errorf("cut after %d bytes: %v", bytes, err)
		}
	}
	for bytes := int64(0); bytes < 2500; bytes += 50 {
		f(bytes, readHundred, ps.Read())
	}
	for bytes := int64(0); bytes < 200; bytes += 10 {
		f(bytes, changeOnce, ps.Write())
	}
	if cut < 20 {
		t.Errorf("%d of the answers were cut: nothing was tested", cut)
	}
}

func readHundred(ctx context.Context, conn *Conn) error {
	rows, err := conn.Query(ctx, "SELECT n FROM numbers")
	if err != nil {
		return err
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if n != 100 {
		return errors.New("rows are missing, and nothing says so")
	}
	return nil
}

func changeOnce(ctx context.Context, conn *Conn) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(ctx, "UPDATE numbers SET n = :n", 1); err != nil {
		return err
	}
	return tx.Commit()
}
