grokscope_test(gradients operator TORCH RANKS 1 2 3 4 6 TIMEOUT 600 USES gs_gradients)
grokscope_test(gradients parameter_gram TORCH USES gs_gradients)
