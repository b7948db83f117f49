-- One of each kind that a statement may meet.
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE TABLE t (id serial PRIMARY KEY, a int, b text, c numeric, x int, y boolean, tags text[]);
INSERT INTO t (a, b, c, x, y) SELECT i, 'b' || i, i / 3.0, i % 7, i % 2 = 0 FROM generate_series(1, 50) i;
CREATE TABLE u (id int REFERENCES t, a int, note citext);
INSERT INTO u SELECT id, a, b FROM t;
CREATE TABLE log (at timestamptz DEFAULT now(), what text);
CREATE SEQUENCE s;
CREATE UNLOGGED TABLE scratch (a int);
CREATE TABLE parts (a int) PARTITION BY LIST (a);
CREATE TABLE part_one PARTITION OF parts FOR VALUES IN (1);
CREATE UNLOGGED TABLE part_two PARTITION OF parts FOR VALUES IN (2);
CREATE FUNCTION reads(int) RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT b FROM t WHERE a = $1); END $$;
CREATE FUNCTION undeclared(int) RETURNS text LANGUAGE sql AS 'SELECT b FROM t WHERE a = $1';
CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2 * $1';
CREATE FUNCTION atomic(n int) RETURNS int STABLE LANGUAGE sql
    BEGIN ATOMIC SELECT count(*)::int FROM t WHERE a < n; END;
CREATE FUNCTION atomic_draws() RETURNS bigint LANGUAGE sql
    BEGIN ATOMIC SELECT nextval('s'); END;
CREATE FUNCTION logs(text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN INSERT INTO log (what) VALUES ($1); RETURN 1; END $$;
CREATE FUNCTION logs_through(text) RETURNS int LANGUAGE sql AS 'SELECT logs($1)';
CREATE FUNCTION stable_draws() RETURNS bigint STABLE LANGUAGE sql AS $$ SELECT nextval('s') $$;
CREATE FUNCTION stable_logs() RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN RETURN public.logs('x'); END $$;
CREATE FUNCTION by_default(n bigint DEFAULT nextval('s')) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION locks() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(7)';
CREATE FUNCTION tells() RETURNS void LANGUAGE sql AS $$ SELECT pg_notify('x', 'y') $$;
CREATE FUNCTION adds(int, int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN PERFORM logs('adds'); RETURN $1 + $2; END $$;
CREATE AGGREGATE harmless_sum(int) (SFUNC = int4pl, STYPE = int, INITCOND = 0);
CREATE AGGREGATE logging_sum(int) (SFUNC = adds, STYPE = int, INITCOND = 0);
CREATE OPERATOR +@ (LEFTARG = int, RIGHTARG = int, FUNCTION = adds);
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE FUNCTION is_logged(int) RETURNS boolean LANGUAGE sql AS $$ SELECT logs('domain') = 1 $$;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN logged AS int CHECK (is_logged(VALUE));
CREATE DOMAIN logged_positive AS logged CHECK (VALUE > 0);
CREATE VIEW plain AS SELECT a, b, twice(x) AS x FROM t WHERE y;
CREATE VIEW plain_again AS SELECT * FROM plain JOIN u USING (a);
CREATE VIEW draws AS SELECT nextval('s') AS n;
CREATE VIEW deep_draws AS SELECT * FROM t, (SELECT n FROM draws) d;
CREATE VIEW logging AS SELECT a, logs(b) FROM t WHERE a < 3;
CREATE VIEW through_operator AS SELECT a +@ x AS sum FROM t;
CREATE VIEW through_aggregate AS SELECT logging_sum(a) FROM t;
CREATE VIEW over_unlogged AS SELECT * FROM scratch;
CREATE MATERIALIZED VIEW stored AS SELECT nextval('s') AS n;
CREATE TABLE guarded (a int);
INSERT INTO guarded VALUES (1);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY logged ON guarded USING (logs('policy') = 1);
CREATE TABLE tenants (tenant text, a int);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON tenants USING (tenant = current_setting('app.tenant', true));
CREATE ROLE reader;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO reader;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO reader;
CREATE SCHEMA other;
CREATE FUNCTION other.lower(int) RETURNS int LANGUAGE sql AS $$ SELECT logs('lower') $$;
CREATE FUNCTION other.reads(int) RETURNS text STABLE LANGUAGE sql AS $$ SELECT 'other' $$;
