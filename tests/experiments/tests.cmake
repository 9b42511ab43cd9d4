grokscope_test(experiments liu_effective TORCH USES gs_experiments)
grokscope_test(experiments thilak_slingshot TORCH RANKS 1 2 3 USES gs_experiments)
