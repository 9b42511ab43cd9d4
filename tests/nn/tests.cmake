grokscope_test(nn pass TORCH USES gs_nn)
grokscope_test(nn loss TORCH USES gs_nn)
grokscope_test(nn parameters TORCH USES gs_nn)
