list(APPEND schemas answers/message_answer answers/action_answer answers/progress)
