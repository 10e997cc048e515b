package pgstore

import (
	"strconv"
	"strings"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/schema"
)

// statements is the SQL of a store. Each statement begins with the name of what it does.
type statements struct {
	version, number                          string
	get, set, touch, end, sweep              string
	getAll, setAll, touchAll                 string
	first, after, read, byUser, byClient     string
	newest, surplus, activeSince, listActive string
	keep, kept                               string
	lockUser, unlockUser                     string
	ping, vacuum, stats                      string
}

func newStatements(name string) *statements {
	sql := func(text string) string {
		return strings.NewReplacer("{{schema}}", schema.Quote(name), "{{columns}}", codec.Columns()).Replace(text)
	}
	return &statements{
		version: `SELECT count(*)::int FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relname = 'schema_version'`,
		number: sql(`SELECT version FROM {{schema}}.schema_version`),

		get: sql(`SELECT {{columns}} FROM {{schema}}.sessions WHERE app = $1 AND id = $2`),
		set: sql(`SELECT status, told, holders FROM {{schema}}.set_session($1, $2` +
			placeholders(3, codec.Placeholders) + `)`),
		touch: sql(`SELECT {{schema}}.touch_session($1, $2, $3)`),
		getAll: sql(`SELECT i.n, ` + codec.ColumnsFrom("s") + `
			FROM unnest($1::text[], $2::text[]) WITH ORDINALITY i (app, id, n)
			JOIN {{schema}}.sessions s ON s.app = i.app AND s.id = i.id`),
		setAll: sql(`SELECT n, status, told, holders FROM {{schema}}.set_sessions($1, $2` +
			placeholders(3, codec.Placeholders) + `)`),
		touchAll: sql(`SELECT n, found FROM {{schema}}.touch_sessions($1, $2, $3)`),

		end:   sql(`SELECT status, told FROM {{schema}}.end_session($1, $2, $3, $4, $5)`),
		sweep: sql(`SELECT looked, told, {{columns}} FROM {{schema}}.sweep_sessions($1, $2, $3, $4)`),

		first: sql(`SELECT {{columns}} FROM {{schema}}.sessions WHERE app = $1 ORDER BY id LIMIT $2`),
		after: sql(`SELECT {{columns}} FROM {{schema}}.sessions WHERE app = $1 AND id > $3 ORDER BY id LIMIT $2`),
		read:  sql(`SELECT {{columns}} FROM {{schema}}.sessions WHERE app = $1 AND id = ANY ($2)`),
		byUser: sql(`SELECT id FROM {{schema}}.sessions WHERE app = $1 AND user_id = $2 AND user_id <> ''
			ORDER BY seen DESC, id`),
		byClient: sql(`SELECT id FROM {{schema}}.sessions WHERE app = $1 AND client_id = $2 AND client_id <> ''
			ORDER BY seen DESC, id`),
		newest: sql(`SELECT {{columns}} FROM {{schema}}.sessions WHERE app = $1 AND client_id = $2 AND client_id <> ''
			ORDER BY began DESC, id DESC LIMIT $3`),
		surplus: sql(`SELECT id FROM (
				SELECT id, began FROM {{schema}}.sessions
				WHERE app = $1 AND client_id = $2 AND client_id <> '' AND user_id = ''
				ORDER BY began DESC, id DESC OFFSET $3
			) s ORDER BY began, id LIMIT $4`),
		activeSince: sql(`SELECT id FROM {{schema}}.sessions WHERE app = $1 AND seen_hour >= $2::int8 / 3600000000
			AND seen >= $2 ORDER BY seen DESC, id`),
		listActive: sql(`SELECT id, user_id FROM {{schema}}.sessions
			WHERE app = $1 AND seen_hour >= $2::int8 / 3600000000 AND seen >= $2 AND (expires = 0 OR expires > $3)`),

		keep: sql(`SELECT kept, told FROM {{schema}}.keep_message($1, $2, $3, $4, $5, $6, $7, $8, $9)`),
		kept: sql(`SELECT first, last, number, prev, is_binary, data FROM {{schema}}.read_kept($1, $2, $3)`),

		lockUser:   sql(`SELECT {{schema}}.lock_user($1, $2, $3)`),
		unlockUser: sql(`SELECT {{schema}}.unlock_user($1, $2, $3)`),

		ping:   sql(`SELECT FROM {{schema}}.sessions LIMIT 0`),
		vacuum: sql(`VACUUM (ANALYZE) {{schema}}.sessions`),
		stats: sql(`SELECT pg_stat_get_live_tuples(c.oid), pg_stat_get_dead_tuples(c.oid), pg_table_size(c.oid),
				pg_indexes_size(c.oid), coalesce((
					SELECT extract(epoch FROM clock_timestamp() - min(t.began)) * 1000000 FROM (
						SELECT xact_start AS began FROM pg_stat_activity
						WHERE pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
						UNION ALL SELECT prepared FROM pg_prepared_xacts
					) t), 0)::int8
			FROM pg_class c WHERE c.oid = $1::text::regclass`),
	}
}

// placeholders returns n more parameters, from a number on.
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(", $" + strconv.Itoa(from+i))
	}
	return b.String()
}
