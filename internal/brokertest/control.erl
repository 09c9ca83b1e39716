%% Runs inside the test's own node. Reads Erlang expressions from descriptor 3, answers on descriptor 4,
%% each framed by its length in four bytes. An answer starts with $+ (a value) or $- (an error).
%% The end of descriptor 3 means that the test binary is gone.
spawn(fun() ->
    Port = open_port({fd, 3, 4}, [{packet, 4}, binary, eof]),
    Text = fun(V) when is_binary(V) -> V;
              (V) -> unicode:characters_to_binary(io_lib:format("~tp", [V]))
           end,
    Eval = fun(Source) ->
        try
            {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Source)),
            {ok, Expressions} = erl_parse:parse_exprs(Tokens),
            {value, Value, _} = erl_eval:exprs(Expressions, []),
            [$+, Text(Value)]
        catch Class:Reason:Stack -> [$-, Text({Class, Reason, Stack})]
        end
    end,
    Loop = fun Loop() ->
        receive
            {Port, {data, Source}} -> port_command(Port, Eval(Source)), Loop();
            {Port, eof} -> erlang:halt(137, [{flush, false}])
        end
    end,
    port_command(Port, [$+, <<"ready">>]),
    Loop()
end).
