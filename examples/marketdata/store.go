package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/shopspring/decimal"
)

const schema = `
CREATE TABLE IF NOT EXISTS bars (
	coin   TEXT,
	start  TIMESTAMP,
	open   DECIMAL(38,10),
	high   DECIMAL(38,10),
	low    DECIMAL(38,10),
	close  DECIMAL(38,10),
	volume DECIMAL(38,10),
	trades BIGINT,
	PRIMARY KEY (coin, start)
);
CREATE TABLE IF NOT EXISTS quotes (
	coin   TEXT,
	start  TIMESTAMP,
	bid    DECIMAL(38,10),
	ask    DECIMAL(38,10),
	spread DECIMAL(38,10),
	PRIMARY KEY (coin, start)
);
CREATE TEMP TABLE stored (coin TEXT, start TIMESTAMP, PRIMARY KEY (coin, start))`

// The statements that store each batch, which DuckDB sees as a table.
const (
	upsertBars   = `INSERT OR REPLACE INTO bars SELECT * FROM appended_data`
	noteStored   = `INSERT OR IGNORE INTO stored SELECT coin, start FROM appended_data` // of this run, for the summary
	upsertQuotes = `INSERT OR REPLACE INTO quotes SELECT * FROM appended_data`
)

// A store keeps bars in a DuckDB database. It is not safe for concurrent use.
type store struct {
	db        *sql.DB
	conn      *sql.Conn
	appenders []*duckdb.Appender // each takes every batch of bars
	quotes    *duckdb.Appender
}

// openStore opens the database in the file at path, or a new one in memory if
// path is empty.
func openStore(ctx context.Context, path string) (*store, error) {
	connector, err := duckdb.NewConnector(path, nil)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &store{db: sql.OpenDB(connector)}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), s.close())
	}
	return s, nil
}

func (s *store) prepare(ctx context.Context) (err error) {
	// One connection, because the appenders and the temporary table are its own.
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := s.conn.ExecContext(ctx, schema); err != nil {
		return err
	}
	types, err := columnTypes()
	if err != nil {
		return err
	}
	names := []string{"coin", "start", "open", "high", "low", "close", "volume", "trades"}
	return s.conn.Raw(func(conn any) error {
		for _, query := range []string{upsertBars, noteStored} {
			a, err := duckdb.NewQueryAppender(conn.(driver.Conn), query, "", types, names)
			if err != nil {
				return err
			}
			s.appenders = append(s.appenders, a)
		}
		quoteTypes := []duckdb.TypeInfo{types[0], types[1], types[2], types[2], types[2]}
		s.quotes, err = duckdb.NewQueryAppender(conn.(driver.Conn), upsertQuotes, "", quoteTypes, []string{"coin", "start", "bid", "ask", "spread"})
		return err
	})
}

func columnTypes() ([]duckdb.TypeInfo, error) {
	text, err1 := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR)
	timestamp, err2 := duckdb.NewTypeInfo(duckdb.TYPE_TIMESTAMP)
	amount, err3 := duckdb.NewDecimalInfo(precision, scale)
	bigint, err4 := duckdb.NewTypeInfo(duckdb.TYPE_BIGINT)
	return []duckdb.TypeInfo{text, timestamp, amount, amount, amount, amount, amount, bigint},
		errors.Join(err1, err2, err3, err4)
}

// upsert stores bars of trades and of quotes. They replace those of the same coin
// and start. It returns how many bars of trades it has stored since it was
// opened.
func (s *store) upsert(bars []bar, quotes []quoteBar) (stored int, err error) {
	for _, q := range quotes {
		if err := s.quotes.AppendRow(q.coin, q.start, exactOrNull(q.bid), exactOrNull(q.ask), exactOrNull(q.spread)); err != nil {
			return 0, fmt.Errorf("store: %w", err)
		}
	}
	if err := s.quotes.Flush(); err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	for _, a := range s.appenders {
		for _, b := range bars {
			if err := a.AppendRow(b.coin, b.start, exact(b.open), exact(b.high), exact(b.low), exact(b.close),
				exact(b.volume), b.trades); err != nil {
				return 0, fmt.Errorf("store: %w", err)
			}
		}
		if err := a.Flush(); err != nil {
			return 0, fmt.Errorf("store: %w", err)
		}
	}
	if err := s.conn.QueryRowContext(context.Background(), `SELECT count(*) FROM stored`).Scan(&stored); err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	return stored, nil
}

// exact converts d to the database's type. Nothing is rounded: amounts with more
// digits are refused where they come in.
func exact(d decimal.Decimal) duckdb.Decimal {
	return duckdb.Decimal{Width: precision, Scale: scale, Value: d.Shift(scale).BigInt()}
}

func exactOrNull(d decimal.NullDecimal) driver.Value {
	if !d.Valid {
		return nil
	}
	return exact(d.Decimal)
}

// A coinSummary sums up a coin's bars. The amounts are exact decimal numbers.
type coinSummary struct {
	Trades int64  `json:"trades"`
	Volume string `json:"volume"`
	Open   string `json:"open"`
	High   string `json:"high"`
	Low    string `json:"low"`
	Close  string `json:"close"`
}

// summary reads back what was stored in this run.
func (s *store) summary(ctx context.Context) (map[string]coinSummary, error) {
	rows, err := s.conn.QueryContext(ctx, `
		SELECT coin, sum(trades)::BIGINT, sum(volume)::TEXT,
			arg_min(open, start)::TEXT, max(high)::TEXT, min(low)::TEXT, arg_max(close, start)::TEXT
		FROM bars JOIN stored USING (coin, start)
		GROUP BY coin`)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer func() { _ = rows.Close() }()
	coins := make(map[string]coinSummary)
	for rows.Next() {
		var coin string
		var c coinSummary
		if err := rows.Scan(&coin, &c.Trades, &c.Volume, &c.Open, &c.High, &c.Low, &c.Close); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		for _, amount := range []*string{&c.Volume, &c.Open, &c.High, &c.Low, &c.Close} {
			d, err := decimal.NewFromString(*amount)
			if err != nil {
				return nil, fmt.Errorf("store: %w", err)
			}
			*amount = d.String() // without the column's trailing zeros
		}
		coins[coin] = c
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return coins, nil
}

// writeParquet writes all bars to a Parquet file.
func (s *store) writeParquet(ctx context.Context, path string) error {
	quoted := "'" + strings.ReplaceAll(path, "'", "''") + "'"
	if _, err := s.conn.ExecContext(ctx, `COPY (FROM bars ORDER BY coin, start) TO `+quoted+` (FORMAT parquet)`); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// close closes the database, once what was upserted is in it.
func (s *store) close() error {
	var errs []error
	for _, a := range s.appenders {
		errs = append(errs, a.Close())
	}
	if s.quotes != nil {
		errs = append(errs, s.quotes.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if err := errors.Join(append(errs, s.db.Close())...); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
