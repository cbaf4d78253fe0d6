# Tests of server/.
