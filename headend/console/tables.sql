-- The console's tables on PostgreSQL, as headend/console/schema.py has them on SQLite after its last migration.

CREATE TABLE installation (
    id BIGINT PRIMARY KEY CHECK (id = 1), simulated BIGINT NOT NULL CHECK (simulated IN (0, 1))
);
CREATE TABLE operators (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password_hash TEXT NOT NULL,
    disabled BIGINT NOT NULL CHECK (disabled IN (0, 1)), must_change BIGINT NOT NULL CHECK (must_change IN (0, 1)),
    added_ms BIGINT NOT NULL, last_sign_in_ms BIGINT
);
CREATE TABLE sign_ins (
    id_hash BYTEA PRIMARY KEY CHECK (length(id_hash) = 32), operator TEXT NOT NULL REFERENCES operators (name),
    csrf TEXT NOT NULL, started_ms BIGINT NOT NULL, seen_ms BIGINT NOT NULL, address TEXT NOT NULL DEFAULT '',
    offered BYTEA
);
CREATE INDEX sign_ins_by_operator ON sign_ins (operator);
CREATE TABLE cookies (
    id_hash BYTEA PRIMARY KEY CHECK (length(id_hash) = 32),
    sign_in BYTEA NOT NULL REFERENCES sign_ins (id_hash) ON DELETE CASCADE, made_ms BIGINT NOT NULL,
    replaced_ms BIGINT
);
CREATE INDEX cookies_by_sign_in ON cookies (sign_in);
CREATE TABLE half_sign_ins (
    id_hash BYTEA PRIMARY KEY CHECK (length(id_hash) = 32), operator TEXT NOT NULL REFERENCES operators (name),
    started_ms BIGINT NOT NULL
);
CREATE INDEX half_sign_ins_by_operator ON half_sign_ins (operator);
CREATE TABLE second_factors (
    operator TEXT PRIMARY KEY REFERENCES operators (name), sealed BYTEA NOT NULL, last_step BIGINT NOT NULL,
    since_ms BIGINT NOT NULL
);
CREATE TABLE required_factors (role TEXT PRIMARY KEY);
CREATE TABLE attempts (
    key TEXT PRIMARY KEY, failures BIGINT NOT NULL CHECK (failures > 0), last_ms BIGINT NOT NULL
);
CREATE TABLE audit (
    line BIGINT PRIMARY KEY, at_ms BIGINT NOT NULL, operator TEXT NOT NULL, action TEXT NOT NULL,
    what TEXT NOT NULL, detail TEXT NOT NULL, about TEXT NOT NULL DEFAULT '', hash TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_by_action ON audit (action, at_ms);
CREATE INDEX audit_by_time ON audit (at_ms);
CREATE INDEX audit_by_operator ON audit (operator, at_ms);
CREATE INDEX audit_by_operator_and_action ON audit (operator, action, at_ms);
CREATE INDEX audit_of_people ON audit (at_ms) WHERE action NOT IN ('looked', 'downloaded', 'did');
CREATE TABLE audit_about (
    account TEXT NOT NULL, at_ms BIGINT NOT NULL, line BIGINT NOT NULL REFERENCES audit (line),
    PRIMARY KEY (account, at_ms, line)
);

CREATE FUNCTION refuse_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_about FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit_about EXECUTE FUNCTION refuse_change();
