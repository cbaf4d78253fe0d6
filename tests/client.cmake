# Tests of client/.
evopress_test(client/statistics_table_test evopress_client)
evopress_test(client/cost_table_test evopress_client)
evopress_test(client/forecast_test evopress_client)
evopress_test(client/space_builder_test evopress_client)
evopress_test(client/targets_test evopress_client)
evopress_test(client/exporters_test evopress_client)
evopress_test(client/cli_test evopress_quant)
add_dependencies(client_cli_test evopress)
