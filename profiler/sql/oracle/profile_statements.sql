/* tomehub:profile_statements */
SELECT /*+ CURSOR_SHARING_EXACT */ sql_id, plan_hash_value, con_id, TO_CHAR(force_matching_signature) AS signature, last_active_time, version_count,
       executions, rows_processed, elapsed_time, cpu_time, user_io_wait_time, concurrency_wait_time, application_wait_time, cluster_wait_time,
       plsql_exec_time, buffer_gets, disk_reads, fetches, sorts, parse_calls, loads, invalidations
FROM v$sqlstats
WHERE last_active_time >= TO_DATE(:since, 'YYYY-MM-DD HH24:MI:SS')
