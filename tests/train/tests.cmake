grokscope_test(train optimizer TORCH USES gs_train)
grokscope_test(train schedule TORCH USES gs_train)
grokscope_test(train events TORCH USES gs_train)
grokscope_test(train trainer TORCH RANKS 1 2 3 USES gs_train)
