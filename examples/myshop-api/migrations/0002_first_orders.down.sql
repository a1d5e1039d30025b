DELETE FROM orders WHERE item IN ('teapot', 'cup', 'green tea, 100 g');
