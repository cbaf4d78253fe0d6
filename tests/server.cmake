# Tests of server/.
evopress_test(server/artifact_store_test evopress_server)
evopress_test(server/coordinator_test evopress_server)
add_dependencies(server_coordinator_test evopressd)
evopress_test(server/job_runner_test evopress_server)
evopress_test(server/level_build_test evopress_server)
evopress_test(server/lease_table_test evopress_server)
evopress_test(server/measurement_plan_test evopress_server)
evopress_test(server/sqlite_journal_test evopress_server SQLite::SQLite3)
