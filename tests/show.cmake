# What tests/show.sh measures promises with.
add_executable(show_probe show/probe.cc)
target_link_libraries(show_probe PRIVATE evopress_options evopress_worker_engine evopress_text evopress_quant)
