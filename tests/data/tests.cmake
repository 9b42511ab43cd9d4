grokscope_test(data modular_arithmetic TORCH USES gs_data)
grokscope_test(data dataset TORCH USES gs_data)
grokscope_test(data teacher_student TORCH USES gs_data)
grokscope_test(data idx_images TORCH USES gs_data)
