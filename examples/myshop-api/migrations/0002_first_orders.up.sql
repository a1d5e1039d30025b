INSERT INTO orders (item, quantity) VALUES
    ('teapot', 1),
    ('cup', 6),
    ('green tea, 100 g', 2);
