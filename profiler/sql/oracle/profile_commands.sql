/* tomehub:profile_commands */
SELECT /*+ CURSOR_SHARING_EXACT */ sql_id, command_type
FROM v$sql
WHERE sql_id IN (:id)
