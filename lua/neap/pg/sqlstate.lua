--- Conditions of PostgreSQL by name: `is_unique_violation(err)` and so on.
---
--- A predicate is true for a fault whose code is that SQLSTATE, also where it
--- is the cause of another fault. Names are those of PostgreSQL's own list of
--- error codes; five stand for a whole class.

local CODES <const> = {
  successful_completion = "00000",
  feature_not_supported = "0A000",
  cardinality_violation = "21000",
  string_data_right_truncation = "22001",
  numeric_value_out_of_range = "22003",
  null_value_not_allowed = "22004",
  invalid_datetime_format = "22007",
  datetime_field_overflow = "22008",
  division_by_zero = "22012",
  invalid_parameter_value = "22023",
  invalid_text_representation = "22P02",
  invalid_binary_representation = "22P03",
  untranslatable_character = "22P05",
  restrict_violation = "23001",
  not_null_violation = "23502",
  foreign_key_violation = "23503",
  unique_violation = "23505",
  check_violation = "23514",
  exclusion_violation = "23P01",
  active_sql_transaction = "25001",
  read_only_sql_transaction = "25006",
  no_active_sql_transaction = "25P01",
  in_failed_sql_transaction = "25P02",
  idle_in_transaction_session_timeout = "25P03",
  invalid_sql_statement_name = "26000",
  invalid_authorization_specification = "28000",
  invalid_password = "28P01",
  invalid_catalog_name = "3D000",
  invalid_savepoint_specification = "3B001",
  invalid_schema_name = "3F000",
  serialization_failure = "40001",
  deadlock_detected = "40P01",
  insufficient_privilege = "42501",
  syntax_error = "42601",
  duplicate_column = "42701",
  ambiguous_column = "42702",
  undefined_column = "42703",
  undefined_object = "42704",
  duplicate_object = "42710",
  duplicate_alias = "42712",
  duplicate_function = "42723",
  ambiguous_function = "42725",
  datatype_mismatch = "42804",
  wrong_object_type = "42809",
  undefined_function = "42883",
  undefined_table = "42P01",
  undefined_parameter = "42P02",
  duplicate_database = "42P04",
  duplicate_prepared_statement = "42P05",
  duplicate_schema = "42P06",
  duplicate_table = "42P07",
  indeterminate_datatype = "42P18",
  disk_full = "53100",
  out_of_memory = "53200",
  too_many_connections = "53300",
  statement_too_complex = "54001",
  object_in_use = "55006",
  object_not_in_prerequisite_state = "55000",
  lock_not_available = "55P03",
  query_canceled = "57014",
  admin_shutdown = "57P01",
  crash_shutdown = "57P02",
  cannot_connect_now = "57P03",
  database_dropped = "57P04",
  raise_exception = "P0001",
  no_data_found = "P0002",
  too_many_rows = "P0003",
  assert_failure = "P0004",
}

local CLASSES <const> = {
  connection_exception = "08",
  data_exception = "22",
  integrity_constraint_violation = "23",
  transaction_rollback = "40",
  insufficient_resources = "53",
}

-- Causes further down than this belong to another story.
local DEPTH <const> = 8

---@param err any
---@param matches fun(code: string): boolean
---@return boolean
local function search(err, matches)
  for _ = 1, DEPTH do
    if type(err) ~= "table" then return false end
    local code = err.code
    if type(code) == "string" and #code == 5 and matches(code) then
      return true
    end
    err = err.cause
  end
  return false
end

local predicates = {}

for name, code in pairs(CODES) do
  predicates["is_" .. name] = function(err)
    return search(err, function(c) return c == code end)
  end
end

for name, class in pairs(CLASSES) do
  predicates["is_" .. name] = function(err)
    return search(err, function(c) return c:sub(1, 2) == class end)
  end
end

return predicates
