grokscope_test(comm communicator RANKS 1 2 3 7 USES gs_comm)
grokscope_test(comm environment USES gs_comm)
grokscope_test(comm stop USES gs_comm)
grokscope_test(comm mailbox RANKS 1 2 3 USES gs_comm)
