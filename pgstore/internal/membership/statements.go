package membership

import "strings"

// statements is the SQL of a member.
type statements struct {
	join, renew, remove, tidy string
	inbox                     string
	hold, release             string
	announce, send            string
	holders, nodes            string
	reserve, unreserve        string
}

func newStatements(schema string) statements {
	sql := func(text string) string { return strings.ReplaceAll(text, "{{schema}}", schema) }
	return statements{
		join:   sql(`SELECT {{schema}}.join_node($1, $2)`),
		renew:  sql(`SELECT {{schema}}.renew_node($1, $2)`),
		remove: sql(`SELECT {{schema}}.remove_node(n) FROM unnest($1::text[]) n`),
		tidy:   sql(`SELECT {{schema}}.remove_orphans(), {{schema}}.tidy_kept(1000)`),

		inbox: sql(`SELECT seq, kind, id, client, reason, sender, data FROM {{schema}}.read_inbox($1, $2) ORDER BY seq`),

		hold:    sql(`SELECT {{schema}}.hold_items($1, $2, $3, $4)`),
		release: sql(`SELECT {{schema}}.release_items($1, $2, $3, $4)`),

		announce: sql(`SELECT {{schema}}.announce($1, $2, $3, $4)`),
		send:     sql(`SELECT {{schema}}.send_message($1, $2, $3, $4)`),
		holders: sql(`SELECT DISTINCT h.node FROM {{schema}}.holdings h JOIN {{schema}}.nodes n ON n.name = h.node
			WHERE h.app = $1 AND h.node <> $2 AND n.until > clock_timestamp()
				AND (h.kind = 's' AND h.item = ANY ($3) OR h.kind = 'c' AND h.item = ANY ($4))
				AND h.item = ANY ($3::text[] || $4::text[])`),
		nodes: sql(`SELECT name FROM {{schema}}.nodes WHERE app = $1 AND name <> $2 AND until > clock_timestamp()`),

		reserve:   sql(`SELECT {{schema}}.reserve_session($1, $2, $3)`),
		unreserve: sql(`SELECT {{schema}}.unreserve_session($1, $2, $3)`),
	}
}
