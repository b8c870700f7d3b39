"""Makes the database that generated requests are tried on."""

import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as shop:
    shop.executescript(
        """
        create table user (id integer primary key, name text, email text, team_id integer);
        create table section (id integer primary key, title text);
        insert into section values (1, 'Billing'), (2, 'Login');
        with recursive number(n) as (select 1 union all select n + 1 from number where n < 100)
        insert into user select n, 'user ' || n, 'u' || n || '@example.com', n % 5 from number;
        """
    )
