package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Order is an order as the service lists it.
type Order struct {
	ID       int64     `json:"id"`
	Item     string    `json:"item"`
	Quantity int32     `json:"quantity"`
	PlacedAt time.Time `json:"placedAt"`
}

// orders is the order book in PostgreSQL.
type orders struct{ pool *pgxpool.Pool }

// Ping runs a query: a connection that opens does not prove that the database answers.
func (o orders) Ping(ctx context.Context) (string, error) {
	version, err := again(ctx, o.pool, true, func(ctx context.Context, c *pgxpool.Conn) (version string, err error) {
		err = c.QueryRow(ctx, "SELECT current_setting('server_version')").Scan(&version)
		return version, err
	})
	if err != nil {
		return "", fmt.Errorf("asking the database for its version: %w", err)
	}
	return version, nil
}

// List returns the newest orders first, at most limit.
func (o orders) List(ctx context.Context, limit int32) ([]Order, error) {
	list, err := again(ctx, o.pool, true, func(ctx context.Context, c *pgxpool.Conn) ([]Order, error) {
		rows, err := c.Query(ctx,
			"SELECT id, item, quantity, placed_at FROM orders ORDER BY placed_at DESC, id DESC LIMIT $1", limit)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowToStructByPos[Order])
	})
	if err != nil {
		return nil, fmt.Errorf("listing orders: %w", err)
	}
	return list, nil
}

// Place adds an order and returns it as stored. If the session ends during the request, the order may have been stored:
// Place returns the error and leaves a retry to the client.
func (o orders) Place(ctx context.Context, item string, quantity int32) (Order, error) {
	order, err := again(ctx, o.pool, false, func(ctx context.Context, c *pgxpool.Conn) (Order, error) {
		rows, err := c.Query(ctx,
			"INSERT INTO orders (item, quantity) VALUES ($1, $2) RETURNING id, item, quantity, placed_at", item,
			quantity)
		if err != nil {
			return Order{}, err
		}
		return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Order])
	})
	if err != nil {
		return Order{}, fmt.Errorf("placing an order: %w", err)
	}
	return order, nil
}
