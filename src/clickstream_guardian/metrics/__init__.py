"""What a daily metric is: one SELECT in portable SQL, the shape of its rows, its ratios.

The SQL of a metric is data (``catalogue/*.sql``), read by every engine; so are the views it reads
(``views/*.sql``). It returns counts and sums only: ratios are divided in the database, so two
engines cannot differ in them. Pure: this room knows no lake, no engine and no database.
"""
