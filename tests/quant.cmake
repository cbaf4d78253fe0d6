# Tests of quant/.
