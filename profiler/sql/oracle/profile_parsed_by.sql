/* tomehub:profile_parsed_by */
SELECT /*+ CURSOR_SHARING_EXACT */ sql_id, parsing_schema_name, module, action, command_type
FROM v$sql
WHERE sql_id IN (:id)
