grokscope_test(base hash USES gs_base)
grokscope_test(base values USES gs_base)
grokscope_test(base schema USES gs_base)
grokscope_test(base timer USES gs_base)
