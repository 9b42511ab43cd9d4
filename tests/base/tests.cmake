grokscope_test(base values USES gs_base)
