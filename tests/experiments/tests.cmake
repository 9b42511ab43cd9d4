grokscope_test(experiments humayun_attack TORCH RANKS 1 2 3 USES gs_experiments)
grokscope_test(experiments humayun_complexity TORCH RANKS 1 2 3 USES gs_experiments)
grokscope_test(experiments humayun_course TORCH USES gs_experiments)
grokscope_test(experiments minegishi_tickets TORCH USES gs_experiments)
