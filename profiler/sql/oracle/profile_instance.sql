/* tomehub:profile_instance */
SELECT /*+ CURSOR_SHARING_EXACT */ instance_number, instance_name, version, TO_CHAR(startup_time, 'YYYY-MM-DD HH24:MI:SS') AS started
FROM v$instance
