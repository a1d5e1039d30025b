CREATE TABLE orders (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item      text        NOT NULL CHECK (length(item) BETWEEN 1 AND 200),
    quantity  integer     NOT NULL CHECK (quantity > 0),
    placed_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX orders_newest_first ON orders (placed_at DESC, id DESC);
