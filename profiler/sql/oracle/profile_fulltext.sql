/* tomehub:profile_fulltext */
SELECT /*+ CURSOR_SHARING_EXACT */ sql_fulltext
FROM v$sqlstats
WHERE sql_id = :id AND ROWNUM <= 1
