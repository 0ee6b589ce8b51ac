-- A ledger with one run, as schema version 4 left it in SQLite.
CREATE TABLE schema_version (
	version INTEGER NOT NULL
);
INSERT INTO schema_version VALUES(4);
CREATE TABLE api_keys (
	id VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	role VARCHAR NOT NULL,
	salt VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	created_at BIGINT NOT NULL,
	revoked_at BIGINT,
	PRIMARY KEY (id)
);
CREATE TABLE runs (
	name VARCHAR NOT NULL,
	system VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	status VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	started_at BIGINT NOT NULL,
	ended_at BIGINT,
	declaration VARCHAR NOT NULL,
	version VARCHAR NOT NULL,
	as_of BIGINT,
	seconds JSON NOT NULL,
	reused JSON NOT NULL,
	error_code VARCHAR,
	error_message VARCHAR,
	PRIMARY KEY (name),
	UNIQUE (system, number)
);
INSERT INTO runs VALUES(
	'flights-1', 'flights', 1, 'run', 'finished', 'here', 1000000, 1000005, 'd1', '0.1.0', 999999, '{"fit":2.0}', '[]', NULL, NULL
);
CREATE TABLE datasets (
	run VARCHAR NOT NULL,
	fingerprint VARCHAR NOT NULL,
	snapshots JSON NOT NULL,
	decisions BIGINT NOT NULL,
	labelled BIGINT NOT NULL,
	features JSON NOT NULL,
	path VARCHAR,
	PRIMARY KEY (run, fingerprint),
	FOREIGN KEY(run) REFERENCES runs (name)
);
CREATE TABLE models (
	run VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	dataset VARCHAR NOT NULL,
	estimator JSON NOT NULL,
	calibration VARCHAR NOT NULL,
	threshold DOUBLE,
	bundle VARCHAR,
	PRIMARY KEY (run, id),
	FOREIGN KEY(run, dataset) REFERENCES datasets (run, fingerprint)
);
CREATE TABLE metrics (
	run VARCHAR NOT NULL,
	model VARCHAR NOT NULL,
	scope VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	position INTEGER NOT NULL,
	value DOUBLE,
	low DOUBLE,
	high DOUBLE,
	PRIMARY KEY (run, model, scope, name),
	FOREIGN KEY(run, model) REFERENCES models (run, id)
);
CREATE TABLE artifacts (
	run VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	path VARCHAR NOT NULL,
	sha256 VARCHAR NOT NULL,
	PRIMARY KEY (run, kind, path),
	FOREIGN KEY(run) REFERENCES runs (name)
);
CREATE TABLE stages (
	stage VARCHAR NOT NULL,
	"key" VARCHAR NOT NULL,
	system VARCHAR NOT NULL,
	output JSON NOT NULL,
	path VARCHAR,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (stage, "key")
);
CREATE TABLE deployments (
	system VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	at BIGINT NOT NULL,
	"by" VARCHAR NOT NULL,
	reason VARCHAR NOT NULL,
	arms JSON NOT NULL,
	PRIMARY KEY (system, number)
);
CREATE TABLE alerts (
	system VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	opened_at BIGINT NOT NULL,
	ended_at BIGINT,
	monitor VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	severity VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	told VARCHAR NOT NULL,
	fate VARCHAR NOT NULL,
	sends INTEGER NOT NULL,
	alert JSON NOT NULL,
	delivered_at BIGINT,
	acknowledged_by VARCHAR,
	acknowledged_at BIGINT,
	PRIMARY KEY (system, id)
);
CREATE TABLE silences (
	system VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	monitor VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	until BIGINT NOT NULL,
	"by" VARCHAR NOT NULL,
	reason VARCHAR NOT NULL,
	PRIMARY KEY (system, number)
);
CREATE TABLE loops (
	system VARCHAR NOT NULL,
	declaration VARCHAR NOT NULL,
	step INTEGER NOT NULL,
	at BIGINT NOT NULL,
	written_at BIGINT NOT NULL,
	state BLOB NOT NULL,
	PRIMARY KEY (system)
);
CREATE TABLE loop_events (
	system VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	step INTEGER NOT NULL,
	at BIGINT NOT NULL,
	written_at BIGINT NOT NULL,
	what VARCHAR NOT NULL,
	model VARCHAR NOT NULL,
	told VARCHAR NOT NULL,
	evidence JSON NOT NULL,
	PRIMARY KEY (system, number)
);
CREATE INDEX ix_runs_started_at ON runs (started_at);
CREATE INDEX ix_runs_status ON runs (status);
