# Tests of server/.
evopress_test(server/coordinator_test evopress_server)
add_dependencies(server_coordinator_test evopressd)
