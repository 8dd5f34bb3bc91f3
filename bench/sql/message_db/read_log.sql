\set p random(0, 3 * :events - 1000)
SELECT * FROM get_category_messages('order', :p + 1, 1000);
