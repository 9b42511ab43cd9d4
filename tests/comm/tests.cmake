grokscope_test(comm communicator RANKS 1 2 3 7 USES gs_comm)
