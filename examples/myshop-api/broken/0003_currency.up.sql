-- A mistake that an empty test database forgives and a used one does not: existing rows have no value for a column
-- that must have one.
CREATE TABLE currencies (code text PRIMARY KEY);
INSERT INTO currencies VALUES ('KRW'), ('EUR');

ALTER TABLE orders ADD COLUMN currency text NOT NULL REFERENCES currencies;
