grokscope_test(config assign USES gs_config)
grokscope_test(config document USES gs_config)
grokscope_test(config override USES gs_config)
grokscope_test(config resolved USES gs_config)
