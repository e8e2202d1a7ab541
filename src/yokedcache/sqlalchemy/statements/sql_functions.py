"""
What is known of SQL functions by their name.

A function is harmless when its answer depends on its arguments and the tables
alone; everything that isn't listed here is unknown, and an unknown function makes
a statement uncacheable. Names are lower case. The lists are by database family:
what is harmless in one may be a user's own function in another.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.statements.analysis import Notes


class Kind(Enum):
    """
    What calling a function means for a statement.
    """

    HARMLESS = "harmless"
    VOLATILE = "volatile"
    WRITES = "writes"
    CONTEXT = "context"
    LOCKS = "locks"
    SIDE_EFFECT = "side_effect"
    UNKNOWN = "unknown"


def words(text: str) -> frozenset[str]:
    """
    Return the words of a text as a set.
    """
    return frozenset(text.split())


_COMMON = words("""
    abs acos asin atan atan2 avg cast ceil ceiling char_length character_length coalesce
    concat concat_ws cos cot count cume_dist degrees dense_rank exp extract first_value
    floor greatest lag last_value lead least length ln log log10 log2 lower ltrim max
    min mod nth_value ntile nullif octet_length percent_rank pi position pow power
    radians rank replace round row_number rtrim sign sin sqrt substr substring sum tan
    trim upper aggregate_strings char cube grouping grouping_sets rollup
""")

_POSTGRESQL = words("""
    array array_agg array_append array_cat array_dims array_fill array_length array_lower
    array_ndims array_position array_positions array_prepend array_remove array_replace
    array_to_json array_to_string array_upper ascii bit_and bit_length bit_or bit_xor
    bool_and bool_or box broadcast btrim cardinality cbrt center chr circle convert
    convert_from convert_to corr covar_pop covar_samp crypt date date_bin date_part
    date_trunc decode diameter digest div encode every factorial family format
    format_type gcd generate_series generate_subscripts get_bit get_byte height hmac
    host hostmask inet_merge inet_same_family initcap isempty isfinite json_agg
    json_array json_array_elements json_array_elements_text json_array_length
    json_build_array json_build_object json_each json_each_text json_exists
    json_extract_path json_extract_path_text json_object json_object_agg
    json_object_keys json_populate_record json_populate_recordset json_query
    json_strip_nulls json_to_record json_to_recordset json_typeof json_value jsonb
    jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path
    jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
    jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
    jsonb_path_query_array jsonb_path_query_first jsonb_populate_record
    jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
    jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days justify_hours
    justify_interval lcm left levenshtein line lower_inc lower_inf lpad lseg
    make_date make_interval make_time make_timestamp masklen md5 metaphone mode
    multirange netmask network normalize num_nonnulls num_nulls numnode overlay
    parse_ident path percentile_cont percentile_disc phraseto_tsquery plainto_tsquery
    point polygon querytree quote_ident quote_literal quote_nullable radius
    range_agg range_intersect_agg range_merge regexp_count regexp_instr regexp_like
    regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr regr_count regr_slope repeat reverse right
    row row_to_json rpad scale set_bit set_byte setweight sha224 sha256 sha384 sha512
    show_trgm similarity soundex split_part starts_with stddev stddev_pop stddev_samp
    string_agg string_to_array string_to_table strip strict_word_similarity strpos
    to_ascii to_char to_date to_hex to_json to_jsonb to_number to_timestamp
    to_tsquery to_tsvector translate trim_array trim_scale trunc ts_headline ts_rank
    ts_rank_cd tsrange tstzrange daterange int4range int8range numrange unaccent
    unnest upper_inc upper_inf uuid_generate_v3 uuid_generate_v5 var_pop var_samp
    variance websearch_to_tsquery width width_bucket word_similarity xmlagg xmlconcat
    xmlelement xmlforest to_tsvector text any all any_value some akeys avals hstore
    skeys svals slice defined exist each tsvector_to_array array_to_tsvector area age
    json_serialize json_scalar int4 int8 float4 float8 numeric varchar bpchar bool
    timestamp timestamptz time timetz timezone interval atan2d acosd asind atand cosd
    sind tand
""")

_SQLITE = words("""
    concat concat_ws format glob group_concat hex ifnull iif if instr json json_array
    json_array_length json_each json_error_position json_extract json_group_array
    json_group_object json_insert json_object json_patch json_pretty json_quote
    json_remove json_replace json_set json_tree json_type json_valid jsonb
    jsonb_array jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert
    jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set jsonb_each jsonb_tree
    like likelihood likely matchinfo nullif printf quote snippet bm25 highlight
    string_agg sqlite_compileoption_get sqlite_compileoption_used sqlite_source_id
    sqlite_version strftime date time datetime julianday unixepoch timediff total trunc
    typeof unhex unicode unistr unlikely zeroblob acosh asinh atanh cosh sinh tanh
    median percentile percentile_cont percentile_disc soundex generate_series
""")

_MYSQL = words("""
    adddate addtime ascii bin bit_and bit_count bit_length bit_or
    bit_xor conv convert convert_tz crc32 date date_add date_format date_sub datediff
    day dayname dayofmonth dayofweek dayofyear elt export_set field find_in_set format
    from_base64 from_days from_unixtime get_format group_concat hex hour if ifnull
    inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr interval isnull
    json_array json_array_append json_array_insert json_arrayagg json_contains
    json_contains_path json_depth json_extract json_insert json_keys json_length
    json_merge json_merge_patch json_merge_preserve json_object json_objectagg
    json_overlaps json_pretty json_quote json_remove json_replace
    json_search json_set json_table json_type json_unquote json_valid json_value
    last_day lcase left locate lpad make_set makedate maketime md5 microsecond mid
    minute month monthname oct ord period_add period_diff quarter quote regexp_instr
    regexp_replace regexp_substr repeat reverse right rpad sec_to_time
    second sha sha1 sha2 soundex space std stddev stddev_pop stddev_samp str_to_date
    strcmp subdate substring_index subtime time time_format time_to_sec timediff
    timestamp timestampadd timestampdiff to_base64 to_days to_seconds truncate ucase
    unhex values var_pop var_samp variance week weekday weekofyear
    weight_string year yearweek match row point linestring polygon multipoint
    multilinestring multipolygon geometrycollection st_area st_asgeojson st_asbinary
    st_astext st_aswkb st_aswkt st_buffer st_centroid st_contains st_convexhull
    st_crosses st_difference st_dimension st_disjoint st_distance st_distance_sphere
    st_endpoint st_envelope st_equals st_exteriorring st_geometryn st_geometrytype
    st_geomfromgeojson st_geomfromtext st_geomfromwkb st_interiorringn st_intersection
    st_intersects st_isclosed st_isempty st_issimple st_length st_numgeometries
    st_numinteriorrings st_numpoints st_overlaps st_pointfromtext st_pointn st_srid
    st_startpoint st_symdifference st_touches st_union st_within st_x st_y any_value
    bin_to_uuid is_uuid json_schema_valid regexp_like uuid_to_bin
""")

_VOLATILE = words("""
    changes clock_timestamp connection_id curdate currval curtime current_catalog
    current_database current_date current_datetime current_query current_role
    current_schema current_schemas current_setting current_time current_timestamp
    current_user current_xact_id database found_rows gen_random_bytes gen_random_uuid
    gen_salt getdate has_column_privilege has_schema_privilege has_table_privilege
    icu_version inet_client_addr inet_client_port inet_server_addr inet_server_port
    last_insert_id last_insert_rowid lastval localtime localtimestamp next_value
    nextval now pg_backend_pid pg_current_snapshot pg_current_wal_lsn
    pg_current_xact_id pg_database_size pg_get_serial_sequence pg_indexes_size
    pg_is_in_recovery pg_last_committed_xact pg_my_temp_schema
    pg_postmaster_start_time pg_relation_size pg_size_pretty pg_table_size
    pg_function_is_visible pg_table_is_visible pg_type_is_visible pg_total_relation_size pg_typeof pg_xact_commit_timestamp
    pg_get_constraintdef pg_get_expr pg_get_indexdef pg_get_viewdef to_regclass
    obj_description col_description quote_all rand random random_normal randomblob
    row_count schema session_user setval sleep pg_sleep statement_timestamp sysdate
    system_user timeofday total_changes transaction_timestamp txid_current
    txid_current_snapshot user utc_date utc_time utc_timestamp uuid uuid_generate_v1
    uuid_generate_v1mc uuid_generate_v4 uuid_short uuidv4 uuidv7 version
    sqlite_offset unix_timestamp tablesample
""")

_CONTEXT = words("set_config setseed load_extension set_limit")
_LOCKS = words("get_lock is_free_lock is_used_lock release_all_locks release_lock")
_SIDE_EFFECTS = words("""
    benchmark load_file pg_cancel_backend pg_logical_emit_message pg_notify
    pg_reload_conf pg_rotate_logfile pg_terminate_backend pg_switch_wal
    pg_stat_reset pg_read_file pg_read_binary_file pg_ls_dir readfile
""")
_SPECIAL = {
    **dict.fromkeys(_CONTEXT, Kind.CONTEXT),
    **dict.fromkeys(_LOCKS, Kind.LOCKS),
    **dict.fromkeys(_SIDE_EFFECTS, Kind.SIDE_EFFECT),
}
_WRITING_PREFIXES = ("dblink", "lo_", "writefile")
_VOLATILE_PREFIXES = ("pragma_", "pg_stat_get_", "has_", "pg_get_")

FAMILIES = {
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
"""
From the name of a SQLAlchemy dialect to the family whose lists apply.
"""

_HARMLESS = {"postgresql": _POSTGRESQL, "sqlite": _SQLITE, "mysql": _MYSQL}

SQLITE_CLOCKS = words("date time datetime julianday unixepoch timediff strftime")
"""
SQLite's date functions, which read the clock without arguments or with 'now'.
"""

CLOCK_CASTS = words("""
    date datemultirange daterange interval time timestamp timestamptz timetz tsmultirange
    tsrange tstzmultirange tstzrange
""")
"""
PostgreSQL's casts that are written like calls.
"""

RECORDS = words("""
    json_populate_record json_populate_recordset json_to_record json_to_recordset
    jsonb_populate_record jsonb_populate_recordset jsonb_to_record jsonb_to_recordset
""")
"""
Functions of PostgreSQL's that make values of text, of types that stand elsewhere.
"""

KEYWORDS = {
    "postgresql": words("""
        user current_catalog current_date current_role current_schema current_time
        current_timestamp current_user localtime localtimestamp session_user system_user
    """),
    "sqlite": words("current_date current_time current_timestamp"),
    "mysql": words("""
        current_date current_role current_time current_timestamp current_user localtime
        localtimestamp utc_date utc_time utc_timestamp
    """),
}
"""
Words that call a volatile function without parentheses.
"""


def family(dialect_name: str) -> str:
    """
    Return the family of a dialect, or its own name when it has none.
    """
    return FAMILIES.get(dialect_name, dialect_name)


def classify(name: str, dialect_name: str) -> Kind:
    """
    Say what calling the function of this name means.
    """
    if name in _VOLATILE or name.startswith(_VOLATILE_PREFIXES):
        return Kind.VOLATILE
    if "advisory" in name:
        return Kind.LOCKS
    if name.startswith(_WRITING_PREFIXES):
        return Kind.WRITES
    special = _SPECIAL.get(name)
    if special is not None:
        return special
    if name in _COMMON or name in _HARMLESS.get(family(dialect_name), frozenset()):
        return Kind.HARMLESS
    return Kind.UNKNOWN


def times_of(name: str, arguments: list[Any]) -> list[Any]:
    """
    Return those arguments of a call that may be a time: the format isn't one.
    """
    return arguments[1:] if name == "strftime" else arguments


def note_call(
    notes: Notes,
    name: str,
    dialect_name: str,
    *,
    schema: str | None = None,
    arguments: int | None = None,
    maybe_now: bool = False,
) -> None:
    """
    Note what a call of this function means for the statement that holds it.

    `arguments` says how many there are, where that is known; `maybe_now`, that one
    of them is, or may turn out to be, a word like 'now'.
    """
    lowered = name.lower()
    kind = classify(lowered, dialect_name)
    if schema is not None and schema.lower() not in ("pg_catalog", "sys"):
        kind = Kind.UNKNOWN
        notes.schemas.add(schema.casefold())
    elif kind is Kind.HARMLESS and _reads_clock(
        lowered, family(dialect_name), arguments, maybe_now=maybe_now
    ):
        kind = Kind.VOLATILE
    _note_kind(notes, lowered, kind)


def _reads_clock(
    name: str, group: str, arguments: int | None, *, maybe_now: bool
) -> bool:
    if group == "sqlite" and name in SQLITE_CLOCKS:
        least = 2 if name == "strftime" else 1
        return maybe_now or arguments is None or arguments < least
    if group == "postgresql":
        if name == "age":
            return arguments is None or arguments < 2  # noqa: PLR2004 - age(x) is today's
        return name == "timetz" or (maybe_now and name in CLOCK_CASTS)
    return False


def _note_kind(notes: Notes, name: str, kind: Kind) -> None:
    if kind is Kind.HARMLESS:
        notes.called.add(name)
        return
    if kind is Kind.UNKNOWN:
        notes.functions.add(name)
        notes.refuse(f"unknown_function:{name}")
    elif kind is Kind.VOLATILE:
        notes.refuse(f"volatile_function:{name}")
    else:
        notes.refuse("side_effect")
        notes.context |= kind is Kind.CONTEXT
        notes.locks |= kind is Kind.LOCKS
        notes.unknown_write |= kind is Kind.WRITES
